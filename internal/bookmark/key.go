package bookmark

import (
	"errors"
	"fmt"
)

// Key is the form of the record keys in a topic of several partitions: what surrounds their values, and so decides with them to
// which partition a key hashes. Times are Kafka's of records, in Unix milliseconds.
type Key struct {
	Form  string `json:"form"`          // Of the events that are applied at present.
	Since int64  `json:"since"`         // Of the event with which the form was adopted.
	Until int64  `json:"until"`         // The latest of any event applied. Invariant: Until >= Since >= 0.
	Was   string `json:"was,omitempty"` // The form before; empty: none was.
}

// KeyWasUnknown stands for a form of which nothing is known any more.
const KeyWasUnknown = "unknown"

// keyFormMax is how long the text of a form may be.
const keyFormMax = 128

func (k *Key) check() error {
	switch {
	case k == nil:
		return nil
	case k.Form == "":
		return errors.New("a key without a form")
	case len(k.Form) > keyFormMax || len(k.Was) > keyFormMax:
		return fmt.Errorf("a key's form is longer than %d bytes", keyFormMax)
	case k.Since < 0 || k.Until < k.Since:
		return fmt.Errorf("a key's form from %d until %d", k.Since, k.Until)
	}
	return nil
}
