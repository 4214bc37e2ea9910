// Command cdcd keeps Iceberg tables equal to the MySQL tables whose Debezium change events arrive in Kafka.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/cdcd-project/cdcd/internal/pipeline"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2 // Usage or configuration.
	exitQuarantined = 3 // Finished, but records were quarantined.
)

// usageError is a fault in the command line or the configuration: nothing was touched.
type usageError struct{ error }

// Unwrap returns the fault.
func (e usageError) Unwrap() error { return e.error }

// commands is the command line.
type commands struct {
	Run        runCommand        `cmd:"" default:"withargs" help:"Run the daemon (the default command)."`
	Check      checkCommand      `cmd:"" help:"Tell everything that can be known before running."`
	Demo       demoCommand       `cmd:"" help:"Run a shop that changes all the time against an embedded broker, catalog and warehouse."`
	Decode     decodeCommand     `cmd:"" help:"Tell what cdcd would make of records, given as JSON lines on standard input."`
	Table      tableCommand      `cmd:"" help:"Look at tables without any other tool, and decide about halted ones."`
	Quarantine quarantineCommand `cmd:"" help:"Look at records that could not be applied, and replay them."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// console is where a command reads its signals and its input from, and writes to: results to out, everything else to err.
type console struct {
	ctx      context.Context //nolint:containedctx // One per process, handed to every command by kong.
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(&console{ctx: ctx, in: os.Stdin, out: os.Stdout, err: os.Stderr}, os.Args[1:]))
}

// execute runs one command and returns its exit code.
func execute(c *console, args []string) int {
	code := -1
	parser, err := kong.New(&commands{}, kong.Name("cdcd"), kong.Writers(c.out, c.err),
		kong.Description("Keeps Apache Iceberg tables exactly equal to the MySQL tables whose Debezium change events arrive in Kafka."),
		kong.Exit(func(n int) { code = n }), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		panic(err) // The command line's own definition is wrong.
	}
	parsed, err := parser.Parse(goFlags(args))
	if code >= 0 { // Help was asked for and printed.
		return code
	}
	if err != nil {
		_, _ = fmt.Fprintf(c.err, "cdcd: %v\n", err)
		return exitUsage
	}
	err = parsed.Run(c)
	if usage, ok := errors.AsType[usageError](err); ok {
		_, _ = fmt.Fprintln(c.err, usage.Error())
		return exitUsage
	}
	if err != nil {
		_, _ = fmt.Fprintf(c.err, "cdcd: %v\n", err)
		if hint := hintOf(err); hint != "" {
			_, _ = fmt.Fprintf(c.err, "hint: %s\n", hint)
		}
		if errors.Is(err, pipeline.ErrQuarantined) {
			return exitQuarantined
		}
		return exitFailed
	}
	return exitDone
}

// goFlags lets flags be written with one dash as well, as Go programs take them: -config is --config.
func goFlags(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if len(a) > 2 && a[0] == '-' && a[1] != '-' && (a[1] < '0' || a[1] > '9') {
			a = "-" + a
		}
		out[i] = a
	}
	return out
}

// version is set when an image is built; a binary built from a checkout knows its own.
var version string // A linker flag can only set a variable.

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(c *console) error {
	_, err := fmt.Fprintln(c.out, buildVersion())
	return err
}

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
