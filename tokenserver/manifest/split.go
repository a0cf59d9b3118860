package manifest

import (
	"bytes"
	"sync"
)

// document is a part of a file that can be understood without the others.
type document struct {
	file string
	// line is where text begins, counted from 1.
	line int
	text []byte

	// parsed is filled when somebody asks for a place long after reading.
	parsed sync.Once
	roots  []*root
}

// split cuts a file at the lines that begin or end a document of YAML, so that a document which is broken takes none of
// the others with it. JSON has no such lines.
func split(name string, text []byte) []*document {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	var documents []*document
	begins, first, content := 0, 1, false
	end := func(at, next, line int) {
		if content {
			documents = append(documents, &document{file: name, line: first, text: text[begins:at:at]})
		}
		begins, first, content = next, line, false
	}
	for at, line := 0, 1; at < len(text); line++ {
		next := len(text)
		if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		rest := text[at:next]
		switch {
		case marks(rest, "---"):
			end(at, at+3, line)
			rest = rest[3:]
		case marks(rest, "..."), rest[0] == '%' && !content:
			// A directive (%) says nothing that matters to the data that JSON knows.
			end(at, next, line+1)
			rest = nil
		}
		rest = bytes.TrimSpace(rest)
		content = content || len(rest) > 0 && rest[0] != '#'
		at = next
	}
	end(len(text), len(text), 0)
	return documents
}

// marks says whether the line begins or ends a document.
func marks(line []byte, mark string) bool {
	rest, found := bytes.CutPrefix(line, []byte(mark))
	return found && (len(rest) == 0 || rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r' || rest[0] == '\n')
}
