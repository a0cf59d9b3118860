package manifest

import (
	"errors"
	"fmt"
	"strings"

	kjson "sigs.k8s.io/json"
)

// Decode reads a file that holds one document of YAML or JSON and is no manifest, with the same strictness and bounds: an
// unknown field and a key that is given twice are errors. The error says on which line.
func Decode(text []byte, into any) error {
	if len(text) > maxFileSize {
		return errTooLarge
	}
	documents := split("", text)
	if len(documents) != 1 {
		return fmt.Errorf("must hold one document, not %d", len(documents))
	}
	d := documents[0]
	roots, broken := d.parse()
	switch {
	case broken != nil:
		return fmt.Errorf("line %d: %s", d.line+max(broken.line, 1)-1, broken.message)
	case len(roots) != 1:
		return fmt.Errorf("must hold one document, not %d", len(roots))
	}
	root := roots[0]
	for _, f := range duplicates(root.node, true) {
		return fmt.Errorf("line %d: %s: %s", d.lineOf(f.node), f.path, f.message)
	}
	value, broken := root.asJSON()
	if broken != nil {
		return errors.New(broken.message)
	}
	strict, err := kjson.UnmarshalStrict(value, into)
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if len(strict) == 0 {
		return nil
	}
	var f kjson.FieldError
	if !errors.As(strict[0], &f) {
		return strict[0]
	}
	return fmt.Errorf("line %d: %s: there is no such field", d.line+lineAt(root.node, f.FieldPath())-1, f.FieldPath())
}
