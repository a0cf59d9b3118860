package audit

import (
	"fmt"
	"io"
	"os"
)

// Stdout is the name of the file that stands for the standard output.
const Stdout = "-"

// Open returns the sink that the name stands for. A file is only ever appended to, and is readable by its owner only: it
// says who uses what.
func Open(name string) (io.WriteCloser, error) {
	if name == Stdout {
		return nopCloser{os.Stdout}, nil
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	return file, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
