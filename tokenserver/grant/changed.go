package grant

import (
	"github.com/tokenwright/tokenwright/tokenserver/audit"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/identity"
	"github.com/tokenwright/tokenwright/tokenserver/opaque"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// Change is something about protected resources that was stored or deleted for a caller.
type Change struct {
	// Endpoint is the name of the endpoint that was asked, and Outcome one of package audit.
	Endpoint, Outcome string
	// By is who wanted it, with the token TokenID, if that was one of ours.
	By      caller.Caller
	TokenID string
	// Audience is the resource server, About the resource and its scopes or those that were asked for, and For the user who owns it
	// or asks for it. Granted are the scopes that For has from now on; none unless something was approved.
	Audience string
	About    scope.Scope
	Granted  []string
	For      string
}

// maxAbout bounds one scope in the record, in bytes.
const maxAbout = 512

// Changed records who changed what. It is stored by now, so that a log which does not take the record must not make the answer an
// error.
func (g *Granter) Changed(request *Request, c *Change) {
	line := audit.Record{
		Time: request.Time.UTC(), Outcome: c.Outcome, RequestID: request.ID, Grant: c.Endpoint, SubjectTokenID: audit.Claimed(c.TokenID),
		Subject: c.By.Username, Provider: c.By.Provider, Method: string(c.By.Method), Audience: c.Audience, For: audit.Bounded(c.For, maxAbout),
		Requested: []string{audit.Bounded(c.About.String(), maxAbout)}, Granted: []string{},
	}
	if len(c.Granted) > 0 {
		granted := scope.Scope{Type: c.About.Type, Name: c.About.Name, Actions: c.Granted}
		line.Granted = append(line.Granted, audit.Bounded(granted.String(), maxAbout))
	}
	if request.Source.IsValid() {
		line.SourceIP = request.Source.String()
	}
	if err := g.Audit.Write(&line); err != nil {
		g.Metrics.AuditFailure()
		g.Log.Error(err, "Could not record a change of protected resources", "requestID", request.ID, "outcome", c.Outcome)
	}
}

// Refusal is what a caller did not get at an endpoint for protected resources.
type Refusal struct {
	Endpoint string
	Kind     Kind
	// By is who wanted it, as far as that was proved, with the token TokenID, and Audience the resource server of that.
	By       caller.Caller
	TokenID  string
	Audience string
	// About is the id or name in the request; nothing is recorded of one that is a token. Empty if it names nothing.
	About string
}

// isID says whether a text can be an id or a name, and no token that a client mistook for one.
func isID(text string) bool {
	return text != "" && len(text) <= maxAbout && !identity.IsToken(text) && !opaque.IsRefresh(text)
}

// Refused records a refusal, unless the log has no room: whoever is refused could fill it.
func (g *Granter) Refused(request *Request, r *Refusal) {
	line := audit.Record{
		Time: request.Time.UTC(), Outcome: audit.Refused, Error: string(r.Kind), RequestID: request.ID, Grant: r.Endpoint,
		SubjectTokenID: audit.Claimed(r.TokenID), Subject: r.By.Username, Provider: r.By.Provider, Method: string(r.By.Method),
		Audience: r.Audience, Requested: []string{}, Granted: []string{},
	}
	if isID(r.About) {
		line.Requested = append(line.Requested, audit.Bounded(r.About, maxAbout))
	}
	if request.Source.IsValid() {
		line.SourceIP = request.Source.String()
	}
	if err := g.Audit.Try(&line); err != nil {
		g.Metrics.AuditDropped()
		g.Log.V(1).Info("Dropped an audit record of a refusal", "requestID", request.ID, "reason", err.Error())
	}
}
