package issue

import (
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// maxRequested bounds one scope in the record, in bytes; what is granted is bounded by the token.
const maxRequested = 512

// Record is the audit record of the request with nothing granted.
func (r *Request) Record(outcome string) audit.Record {
	record := audit.Record{
		Time: r.Time.UTC(), Outcome: outcome, RequestID: r.ID, Grant: r.Grant,
		Requested: make([]string, len(r.Scopes)), Granted: []string{},
		ClientID: audit.Claimed(r.ClientID), Account: audit.Claimed(r.Account),
		RefreshID: r.RefreshID, Client: r.Client, SubjectTokenID: audit.Claimed(r.SubjectTokenID),
		TicketID: r.TicketID,
	}
	for n, s := range r.Scopes {
		record.Requested[n] = audit.Bounded(s.String(), maxRequested)
	}
	if r.Audience != nil {
		record.Audience = r.Audience.Name
	}
	if r.Caller.Method != "" {
		record.Subject, record.Provider, record.Method = r.Caller.Username, r.Caller.Provider, string(r.Caller.Method)
	}
	if r.SourceIP.IsValid() {
		record.SourceIP = r.SourceIP.String()
	}
	return record
}

func texts(scopes []scope.Scope) []string {
	list := make([]string, len(scopes))
	for n, s := range scopes {
		list[n] = s.String()
	}
	return list
}
