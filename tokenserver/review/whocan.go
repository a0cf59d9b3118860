package review

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// Row is a subject that may do something, or that a Deny names, and through which rule.
type Row struct {
	Subject v1alpha1.Subject
	policy.RuleRef
	// Audiences are those of the question for which it is so.
	Audiences []string
	// If are what it depends on, in words; none if it is so in any case. Certain says that there is none, or only an end.
	If      []string
	Certain bool
}

// Table is the answer to who may do something.
type Table struct {
	// Can has those who may. Denied has those whom a Deny names, although they may be among the others by another name.
	Can, Denied []Row
}

// WhoCan says who may do the first action that is asked for, with a token for one of the audiences. The request's caller
// and audience are not looked at.
func (w *World) WhoCan(req policy.Request, audiences []string) Table {
	var t Table
	for _, audience := range audiences {
		if !w.held(audience) {
			continue
		}
		req.Audience, req.Admits = audience, w.admits(audience)
		found := policy.WhoCan(w.policies, req)
		t.Can = w.merge(t.Can, found.Can, audience)
		t.Denied = w.merge(t.Denied, found.Denied, audience)
	}
	slices.SortStableFunc(t.Can, compareRows)
	slices.SortStableFunc(t.Denied, compareRows)
	if len(t.Can) == 0 {
		t.Denied = nil // from whom should it be taken
	}
	return t
}

// merge adds the rows of one audience; a row that is there for another audience has both.
func (w *World) merge(rows []Row, found []policy.Holder, audience string) []Row {
	known := map[string]int{}
	for i := range rows {
		known[rows[i].key()] = i
	}
	for _, h := range found {
		row := Row{Subject: h.Subject, RuleRef: h.RuleRef, Audiences: []string{audience}, If: w.conditions(h), Certain: h.Certain()}
		if i, ok := known[row.key()]; ok {
			rows[i].Audiences = append(rows[i].Audiences, audience)
			continue
		}
		rows = append(rows, row)
	}
	return rows
}

func (r *Row) key() string { return fmt.Sprintf("%#v %#v %#v", r.Subject, r.RuleRef, r.If) }

func compareRows(a, b Row) int {
	order := func(r Row) string {
		return strings.Join([]string{string(r.Subject.Kind), r.Subject.Namespace, r.Subject.Name, r.Policy.Kind, r.Policy.Namespace, r.Policy.Name}, "\x00")
	}
	return strings.Compare(order(a), order(b))
}

// conditions puts into words what a row depends on.
func (w *World) conditions(h policy.Holder) []string {
	spec := w.objects[h.Policy].spec
	var conditions []string
	if when := spec.When; when != nil && h.Conditional {
		if len(when.SourceRanges) > 0 {
			conditions = append(conditions, "from "+list(when.SourceRanges))
		}
		if when.Expression != "" {
			conditions = append(conditions, oneLine(when.Expression))
		}
	}
	if h.Placeholders {
		var names []string
		for _, n := range spec.Rules[h.Rule].Names {
			if strings.Contains(string(n), "${") {
				names = append(names, string(n))
			}
		}
		conditions = append(conditions, "it fits "+strings.Join(names, " or "))
	}
	for _, deny := range h.Unless {
		conditions = append(conditions, "unless denied by "+Rule(deny))
	}
	if !h.NotAfter.IsZero() {
		conditions = append(conditions, "until "+string(spec.When.NotAfter))
	}
	return conditions
}
