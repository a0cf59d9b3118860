//go:build e2e

package clients

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// grant is how a server saw a client get a token: the client sees that it got in, an audit record sees how.
type grant struct {
	Name string
	// ClientID is what the client calls itself, up to a space, where its version is; empty if it does not say.
	ClientID string
}

// grantsDuring returns by which grants tokens were issued, by either server, while something was done.
func (s *scene) grantsDuring(t *testing.T, do func()) []grant {
	t.Helper()
	var before [2]int
	for i := range s.Servers {
		before[i] = len(s.records(t, i))
	}
	do()
	var seen []grant
	for i := range s.Servers {
		seen = append(seen, s.records(t, i)[before[i]:]...)
	}
	slices.SortFunc(seen, func(a, b grant) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ClientID, b.ClientID)) })
	return slices.Compact(seen)
}

// records are the grants of the tokens that a server has issued. A record is written before its token is sent.
func (s *scene) records(t *testing.T, server int) (issued []grant) {
	t.Helper()
	data, err := os.ReadFile(s.Servers[server].Audit)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var record struct {
			Outcome  string `json:"outcome"`
			Grant    string `json:"grant"`
			ClientID string `json:"claimedClientID"`
		}
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatalf("An audit record is not JSON: %v", err)
		}
		if record.Outcome == "issued" {
			id, _, _ := strings.Cut(record.ClientID, " ")
			issued = append(issued, grant{record.Grant, id})
		}
	}
	return issued
}
