package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// printer writes either aligned columns under a heading, or one JSON object a line.
type printer struct {
	tabs *tabwriter.Writer
	json *json.Encoder
	err  error
}

func newPrinter(out io.Writer, asJSON bool, heading ...string) *printer {
	if asJSON {
		return &printer{json: json.NewEncoder(out)}
	}
	p := &printer{tabs: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	p.cells(heading)
	return p
}

// row prints object as JSON, or the cells.
func (p *printer) row(object any, cells ...string) {
	if p.json != nil {
		if err := p.json.Encode(object); err != nil && p.err == nil {
			p.err = err
		}
		return
	}
	p.cells(cells)
}

func (p *printer) cells(cells []string) {
	if _, err := fmt.Fprintln(p.tabs, strings.Join(cells, "\t")); err != nil && p.err == nil {
		p.err = err
	}
}

// one prints a single object as JSON.
func (p *printer) one(object any) error {
	p.row(object)
	return p.end()
}

// end writes out what is still held back.
func (p *printer) end() error {
	if p.tabs != nil {
		return errors.Join(p.err, p.tabs.Flush())
	}
	return p.err
}
