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
	// fault is what is wrong with it, if that can be seen without reading it.
	fault *syntaxError

	// parsed is filled when somebody asks for a place long after reading.
	parsed sync.Once
	roots  []*root
}

// mark begins the lines that divide the documents of a file.
var mark = []byte("---")

// errMark is for what kubectl refuses, and what other programs take for the beginning of a document.
var errMark = &syntaxError{line: 1, message: "a line that begins with --- must hold nothing else but a comment"}

// split cuts a file at the lines at which kubectl does, so that a document which is broken takes none of the others with
// it. JSON has no such lines.
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
		rest, marked := bytes.CutPrefix(text[at:next], mark)
		says := says(rest)
		switch {
		case marked && says:
			end(at, next, line+1)
			documents = append(documents, &document{file: name, line: line, text: text[at:next:next], fault: errMark})
		case marked:
			end(at, next, line+1)
		default:
			content = content || says
		}
		at = next
	}
	end(len(text), len(text), 0)
	return documents
}

// breaks end a line for YAML, and a comment with it, beside the line feed.
const breaks = "\r\u0085\u2028\u2029"

// says tells whether there is anything but white space and a comment in the line. What looks like a comment may hold a
// whole document behind a line end that no editor shows.
func says(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) > 0 && (line[0] != '#' || bytes.ContainsAny(line, breaks))
}
