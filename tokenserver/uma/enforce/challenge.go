package enforce

import (
	"errors"
	"net/http"
	"strings"
)

// unreachable is the Warning of a resource server that has no ticket to give (UMA 2.0, Grant, section 3.2.2).
const unreachable = `199 - "UMA Authorization Server Unreachable"`

// challenge answers with a ticket (UMA 2.0, Grant, section 3.2.1).
func (e *Enforcer) challenge(w http.ResponseWriter, ticket string) {
	w.Header().Set("WWW-Authenticate", "UMA realm="+quoted(e.config.Realm)+", as_uri="+quoted(e.config.Issuer)+", ticket="+quoted(ticket))
	refuse(w, http.StatusUnauthorized, "a requesting party token is needed")
}

// quoted is a quoted-string (RFC 9110, section 5.6.4). The text is of printable ASCII characters.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// fail refuses what could not be decided. That the authorization server does not answer must open nothing.
func (e *Enforcer) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errNoResource) {
		// That is decided: anybody can ask for paths that nobody has.
		refuse(w, http.StatusForbidden, "the path is not served")
		return
	}
	if e.config.Report != nil && r.Context().Err() == nil {
		e.config.Report(r.Context(), err)
	}
	w.Header().Set("Warning", unreachable)
	refuse(w, http.StatusForbidden, "access could not be decided")
}

// refuse answers with a status and a sentence.
func refuse(w http.ResponseWriter, status int, message string) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(message + "\n"))
}
