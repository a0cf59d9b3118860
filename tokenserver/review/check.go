package review

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// Result is what came of a case.
type Result struct {
	Case    Case
	Request policy.Request
	Answer  Answer
	// Missing were expected and not granted, Surplus granted and not expected; both empty if the case holds.
	Missing, Surplus []string
	// Hints say what could be looked at, if actions are missing.
	Hints []string
}

// Holds says whether what was expected is what is granted.
func (r Result) Holds() bool { return len(r.Missing) == 0 && len(r.Surplus) == 0 }

// Check asks a case. It fails if the case cannot be asked, or expects what it does not ask for.
func (w *World) Check(c Case, now time.Time) (Result, error) {
	req, err := c.Question(now)
	if err != nil {
		return Result{}, err
	}
	if c.Expect == nil {
		return Result{}, errors.New("expect: must be given; an empty list says that nothing is granted")
	}
	if !w.held(req.Audience) {
		return Result{}, errors.New(w.noSuchAudience(req.Audience))
	}
	asked := policy.Asked(req)
	for _, action := range *c.Expect {
		if !slices.Contains(asked, action) {
			return Result{}, fmt.Errorf("expect: %q is not among the actions that are asked for: %s", action, strings.Join(asked, ", "))
		}
	}
	r := Result{Case: c, Request: req, Answer: w.Ask(req)}
	for _, action := range asked {
		switch expected, granted := slices.Contains(*c.Expect, action), slices.Contains(r.Answer.Granted, action); {
		case expected && !granted:
			r.Missing = append(r.Missing, action)
		case granted && !expected:
			r.Surplus = append(r.Surplus, action)
		}
	}
	if len(r.Missing) > 0 {
		r.Hints = w.Hints(req, r.Answer)
	}
	return r, nil
}
