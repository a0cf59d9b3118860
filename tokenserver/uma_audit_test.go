package tokenserver

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// TestWhatIsRecordedOfPermissions reads the audit log: what was asked and granted, by which ticket, and no token or ticket.
func TestWhatIsRecordedOfPermissions(t *testing.T) {
	w := startUMA(t, func(options *Options, _ *Parts, _ *snapshot.Input) { options.AuditExplain = true })
	ticket := w.ticket(t, nil, reads("orders/eu-1")...)
	bearer := w.aat(t, "alice", "secret", api, "uma_authorization")
	rpt := w.form(t, "/token", "bearer", bearer, umaForm("ticket", ticket)).text(t, "access_token")
	w.form(t, "/token", "bearer", bearer, umaForm("ticket", ticket))
	w.form(t, "/token", "alice", "secret", umaForm("permission", "orders/eu-1", "rpt", rpt, "response_mode", "permissions"))
	w.form(t, "/token", "bob", "hunter2", umaForm("permission", "orders/eu-1"))
	w.form(t, "/token", "alice", "guess", umaForm("ticket", ticket))
	waitFor(t, "the refusals are in the audit log", func() bool {
		log := readFile(t, w.auditFile)
		return strings.Contains(log, `"RequestDenied"`) && strings.Contains(log, `"InvalidTicket"`) && strings.Contains(log, `"BadClient"`)
	})
	text, err := os.ReadFile(w.auditFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{ticket, bearer, rpt} {
		if strings.Contains(string(text), strings.Split(secret, ".")[1]) || strings.Contains(string(text), strings.Split(secret, ".")[2]) {
			t.Error("a token or a ticket is in the audit log")
		}
	}
	said := map[string]string{}
	for line := range strings.Lines(string(text)) {
		var record struct {
			Outcome, Grant, Error, Subject, TicketID string
			Granted, Requested                       []string
			Why                                      []any
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record.Grant != "uma_ticket" {
			continue
		}
		said[record.Outcome+" "+record.Error] = fmt.Sprint(record.Subject, " ", record.Requested, record.Granted, record.TicketID != "", len(record.Why) > 0)
	}
	want := map[string]string{
		"issued ":               "alice [order:orders/eu-1:read] [order:orders/eu-1:read] true true",
		"decided ":              "alice [order:orders/eu-1:delete,read,write] [order:orders/eu-1:read,write] false true",
		"refused RequestDenied": "bob [order:orders/eu-1:delete,read,write] [] false false",
		"refused InvalidTicket": "alice [] [] true false",
		"refused BadClient":     " [] [] false false",
	}
	for outcome, what := range want {
		if said[outcome] != what {
			t.Errorf("%s: %q, want %q", outcome, said[outcome], what)
		}
	}
}
