package audit

import (
	"strconv"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/quote"
)

// appendLine appends the record as JSON, with a line feed. JSON escapes every control character, so that nothing that a
// client sends can begin a line of its own. It is what encoding/json makes of a Record: a test compares them.
func (r *Record) appendLine(dst []byte) []byte {
	dst = appendTime(append(dst, `{"time":`...), r.Time)
	dst = quote.Append(append(dst, `,"outcome":`...), r.Outcome)
	dst = quote.Append(append(dst, `,"requestID":`...), r.RequestID)
	dst = appendGiven(dst, `,"error":`, r.Error)
	dst = quote.Append(append(dst, `,"grant":`...), r.Grant)
	dst = appendGiven(dst, `,"jti":`, r.TokenID)
	dst = appendGiven(dst, `,"kid":`, r.KeyID)
	dst = appendGiven(dst, `,"refreshID":`, r.RefreshID)
	dst = appendGiven(dst, `,"subjectTokenID":`, r.SubjectTokenID)
	dst = appendGiven(dst, `,"ticketID":`, r.TicketID)
	dst = appendGiven(dst, `,"subject":`, r.Subject)
	dst = appendGiven(dst, `,"provider":`, r.Provider)
	dst = appendGiven(dst, `,"method":`, r.Method)
	dst = appendGiven(dst, `,"client":`, r.Client)
	dst = appendGiven(dst, `,"audience":`, r.Audience)
	dst = appendGiven(dst, `,"for":`, r.For)
	dst = quote.AppendList(append(dst, `,"requested":`...), r.Requested)
	dst = quote.AppendList(append(dst, `,"granted":`...), r.Granted)
	if r.GrantedOmitted != 0 {
		dst = strconv.AppendInt(append(dst, `,"grantedOmitted":`...), int64(r.GrantedOmitted), 10)
	}
	dst = appendWhy(dst, r.Why)
	if r.WhyOmitted != 0 {
		dst = strconv.AppendInt(append(dst, `,"whyOmitted":`...), int64(r.WhyOmitted), 10)
	}
	dst = appendFailed(dst, r.Failed)
	dst = appendGiven(dst, `,"claimedClientID":`, r.ClientID)
	dst = appendGiven(dst, `,"claimedAccount":`, r.Account)
	dst = appendGiven(dst, `,"sourceIP":`, r.SourceIP)
	if !r.Expires.IsZero() {
		dst = appendTime(append(dst, `,"expires":`...), r.Expires)
	}
	return append(dst, "}\n"...)
}

// appendGiven appends a field that is left out when it is empty.
func appendGiven(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return quote.Append(append(dst, name...), value)
}

func appendTime(dst []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(dst, '"'), time.RFC3339Nano), '"')
}

func appendWhy(dst []byte, why []Why) []byte {
	if len(why) == 0 {
		return dst
	}
	dst = append(dst, `,"why":[`...)
	for i, w := range why {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = quote.Append(append(dst, `{"scope":`...), w.Scope)
		dst = quote.Append(append(dst, `,"action":`...), w.Action)
		dst = quote.Append(append(dst, `,"effect":`...), w.Effect)
		dst = quote.Append(append(dst, `,"policy":`...), w.Policy)
		dst = strconv.AppendInt(append(dst, `,"rule":`...), int64(w.Rule), 10)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendFailed(dst []byte, failed []Failed) []byte {
	if len(failed) == 0 {
		return dst
	}
	dst = append(dst, `,"failedExpressions":[`...)
	for i, f := range failed {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = quote.Append(append(dst, `{"policy":`...), f.Policy)
		dst = quote.Append(append(dst, `,"reason":`...), f.Reason)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
