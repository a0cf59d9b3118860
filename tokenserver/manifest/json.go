package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// parseJSON reads documents of JSON that follow each other.
func parseJSON(text []byte) ([]*root, *syntaxError) {
	p := &jsonParser{text: text, decoder: json.NewDecoder(bytes.NewReader(text)), line: 1}
	p.decoder.UseNumber()
	var roots []*root
	for {
		from := int(p.decoder.InputOffset())
		n, err := p.next(0)
		switch {
		case errors.Is(err, io.EOF) && n == nil && len(bytes.TrimSpace(text[from:])) == 0:
			return roots, nil
		case err != nil:
			return roots, &syntaxError{line: p.line, message: fmt.Sprintf("is not JSON behind character %d of the line", p.column())}
		}
		roots = append(roots, &root{node: n, text: text[from:p.decoder.InputOffset()], json: true})
	}
}

// maxDepth is how deep JSON may nest; the library for YAML has the same bound.
const maxDepth = 10_000

// jsonParser makes nodes of JSON, so that places in it are found as those in YAML are.
type jsonParser struct {
	text    []byte
	decoder *json.Decoder
	// line is that of offset.
	line, offset int
}

func (p *jsonParser) column() int {
	return p.offset - (bytes.LastIndexByte(p.text[:p.offset], '\n') + 1)
}

func (p *jsonParser) token() (json.Token, error) {
	t, err := p.decoder.Token()
	end := int(p.decoder.InputOffset())
	p.line += bytes.Count(p.text[p.offset:end], []byte("\n"))
	p.offset = end
	return t, err
}

func (p *jsonParser) next(depth int) (*node, error) {
	t, err := p.token()
	if err != nil {
		return nil, err
	}
	n := &node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Line: p.line}
	switch t := t.(type) {
	case string:
		n.Tag, n.Value = "!!str", t
	case json.Delim:
		n.Kind, n.Style = yaml.MappingNode, 0
		if t == '[' {
			n.Kind = yaml.SequenceNode
		}
		return n, p.content(n, depth)
	}
	return n, nil
}

// content reads what an object or list holds.
func (p *jsonParser) content(n *node, depth int) error {
	if depth > maxDepth {
		return errors.New("nests too deeply")
	}
	for p.decoder.More() {
		item, err := p.next(depth + 1)
		if err != nil {
			return err
		}
		n.Content = append(n.Content, item)
	}
	_, err := p.token()
	return err
}
