//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// ledger counts who was shown what. Refused are refusals of a token that had not expired.
type ledger struct {
	mu        sync.Mutex
	begun     time.Time
	verifiers map[string]*count
	keys      map[string]*issued
	// notes are the first refusals and failures, for whoever has to find out why.
	notes []string
}

// count is of one verifier. Late are the checks of a token in the last seconds of its life.
type count struct{ checks, late, refused, failed int }

// issued are the tokens of one SigningKey, and how often there was none.
type issued struct{ tokens, unavailable, failed int }

func newLedger() *ledger {
	return &ledger{begun: time.Now(), verifiers: map[string]*count{}, keys: map[string]*issued{}}
}

// controlPrefix begins the names of verifiers that must refuse: they do not do as they are told.
const controlPrefix = "control: "

// late is how long before its end a token counts as old.
const late = 3 * time.Second

// check shows the token to the verifier and notes what it says.
func (l *ledger) check(ctx context.Context, v verifier, t token) {
	left := time.Until(t.expires)
	err := v.verify(ctx, t)
	over := !time.Now().Before(t.expires)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && (ctx.Err() != nil || over) {
		return // the test is over, or the token
	}
	c := entry(l.verifiers, v.name())
	c.checks++
	if left < late {
		c.late++
	}
	switch {
	case err == nil:
		return
	case errors.Is(err, errRefused):
		c.refused++
	default:
		c.failed++
	}
	if strings.HasPrefix(v.name(), controlPrefix) {
		return
	}
	l.note(fmt.Sprintf("%s, a token of key %s with %s to live: %v", v.name(), t.keyID, left.Round(time.Millisecond), err))
}

// clientPulled notes what came of a client's own pull or push.
func (l *ledger) clientPulled(ctx context.Context, name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		return
	}
	c := entry(l.verifiers, name)
	c.checks++
	switch {
	case err == nil:
		return
	case refusal(err):
		c.refused++
	default:
		c.failed++
	}
	l.note(fmt.Sprintf("%s: %v", name, err))
}

// asked notes what came of asking for a token.
func (l *ledger) asked(ctx context.Context, k signingKey, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		return
	}
	c := entry(l.keys, k.name)
	switch {
	case err == nil:
		c.tokens++
		return
	case errors.Is(err, errNoKey):
		c.unavailable++
	default:
		c.failed++
	}
	l.note(fmt.Sprintf("a token of SigningKey %s: %v", k.name, err))
}

// note keeps the first ones. The lock is held.
func (l *ledger) note(text string) {
	if len(l.notes) < 30 {
		l.notes = append(l.notes, fmt.Sprintf("%6.2f s  %s", time.Since(l.begun).Seconds(), text))
	}
}

func entry[T any](in map[string]*T, name string) *T {
	if in[name] == nil {
		in[name] = new(T)
	}
	return in[name]
}

// print writes the tables. Nobody writes to the ledger any more.
func (l *ledger) print(out io.Writer, w *witness, kills int) {
	fmt.Fprintf(out, "\nKeys rotated for %s; a manager was killed %d times.\n\n", length, kills)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SigningKey\tidentification\tmode\tinterval\trotations\ttokens\tno key\tfailed")
	for _, k := range signingKeys {
		c := entry(l.keys, k.name)
		interval := k.interval.String()
		if k.mode == "Manual" {
			interval = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\n",
			k.name, k.identification, k.mode, interval, w.rotations(k), c.tokens, c.unavailable, c.failed)
	}
	fmt.Fprintln(t, "\t\t\t\t\t\t\t")
	fmt.Fprintln(t, "verifier\tchecks\tin the last 3 s\trefused\tfailed\t\t\t")
	for _, name := range slices.Sorted(maps.Keys(l.verifiers)) {
		c := l.verifiers[name]
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t\t\t\n", name, c.checks, c.late, c.refused, c.failed)
	}
	_ = t.Flush()
	fmt.Fprintln(out)
	if len(l.notes) > 0 {
		fmt.Fprintf(out, "Noted first, after the begin:\n%s\n", strings.Join(l.notes, "\n"))
	}
}
