package manifest

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	sigsyaml "sigs.k8s.io/yaml"
)

// root is one document: nodes say where things stand, and its text what they are. Values come from the library that
// kubectl uses, which reads YAML 1.1: other libraries take "yes" for a text.
type root struct {
	node *node
	text []byte
	json bool
}

// syntaxError says what cannot be understood, and on which line of the document, counted from 1; 0 if it is all of it.
// The message never repeats the text, which may be a Secret's.
type syntaxError struct {
	line    int
	message string
}

// parse returns what could be read before the error, if there is one.
func (d *document) parse() ([]*root, *syntaxError) {
	if d.fault != nil {
		return nil, d.fault
	}
	if !utf8.Valid(d.text) {
		return nil, &syntaxError{line: invalidLine(d.text), message: "must be UTF-8"}
	}
	if bytes.TrimSpace(d.text)[0] != '{' {
		return parseYAML(d.text)
	}
	// What begins like JSON may be YAML all the same.
	roots, err := parseJSON(d.text)
	if err == nil {
		return roots, nil
	}
	if other, otherErr := parseYAML(d.text); otherErr == nil || len(roots) == 0 {
		return other, otherErr
	}
	return roots, err
}

func invalidLine(text []byte) int {
	line := 1
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		text = text[size:]
	}
	return line
}

func parseYAML(text []byte) ([]*root, *syntaxError) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var tree, more node
	if err := decoder.Decode(&tree); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, yamlError(text, err)
	}
	if len(tree.Content) == 0 {
		return nil, nil
	}
	roots := []*root{{node: tree.Content[0], text: text}}
	// The library would pass over what follows.
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		line := more.Line
		if err != nil {
			line = yamlError(text, err).line
		}
		return roots, &syntaxError{line: line, message: "a document must be separated from the next by a line that begins with ---"}
	}
	return roots, nil
}

var (
	yamlLine = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?`)
	// parserSaid are errors for which the library counts lines from 0; for those of its scanner it counts from 1.
	parserSaid = regexp.MustCompile(`^(did not find expected (<|node|'-'|key|',')|found undefined tag)`)
	yamlAnchor = regexp.MustCompile(`unknown anchor '(.*)' referenced`)
)

// yamlError keeps what the library says, which are fixed texts but for the name of an anchor: a password that begins with
// a star looks like one.
func yamlError(text []byte, err error) *syntaxError {
	said := err.Error()
	m := yamlLine.FindStringSubmatch(said)
	if m == nil {
		return &syntaxError{message: "is not YAML"}
	}
	said = said[len(m[0]):]
	line, _ := strconv.Atoi(m[1])
	if parserSaid.MatchString(said) {
		line++
	}
	if anchor := yamlAnchor.FindStringSubmatch(said); anchor != nil {
		said = "an alias (*) names no anchor: a text that begins with * must stand in quotes"
		before, _, _ := bytes.Cut(text, []byte("*"+anchor[1]))
		line = 1 + bytes.Count(before, []byte("\n"))
	}
	lines := bytes.Count(bytes.TrimRight(text, "\r\n"), []byte("\n")) + 1
	return &syntaxError{line: min(line, lines), message: "is not YAML: " + said}
}

// asJSON is the document as kubectl sends it.
func (r *root) asJSON() ([]byte, *syntaxError) {
	if r.json {
		return r.text, nil
	}
	if err := expansion(r.node); err != nil {
		return nil, err
	}
	text, err := sigsyaml.YAMLToJSON(r.text)
	if err != nil {
		return nil, &syntaxError{message: "has a value that JSON does not know"}
	}
	return text, nil
}

// value is the document as an API server reads it, with integers as int64.
func (r *root) value() (map[string]any, *syntaxError) {
	text, broken := r.asJSON()
	if broken != nil {
		return nil, broken
	}
	var value map[string]any
	if err := utiljson.Unmarshal(text, &value); err != nil {
		return nil, &syntaxError{message: "has a value that JSON does not know"}
	}
	return value, nil
}
