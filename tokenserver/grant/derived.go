package grant

import (
	"slices"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// maxThrough is how many audiences a token can have come through: they are in it.
const maxThrough = 4

// standsFor says whether a token stands for its caller where requesting party tokens are issued.
func standsFor(signed *token.Verified) bool {
	return slices.Contains(strings.Fields(signed.Scope), issue.ScopeUMA)
}

// derive bounds what comes of a token of ours. It ends no later; for the same audience it has no more scopes; and for another
// one it says where it came from, because it must not go back there: the scopes of the first would be forgotten.
func derive(progress *issue.Request, from *Held, audience string) error {
	progress.NotAfter, progress.SubjectTokenID, progress.Through = from.Expires, from.ID, from.Signed.Through
	progress.UMA = progress.UMA && standsFor(&from.Signed) // also at another audience: what is narrow does not become wide
	if from.Audience != audience {
		progress.Through = append(slices.Clip(from.Signed.Through), from.Audience)
		return nil
	}
	has, err := scope.Parse([]string{from.Signed.Scope})
	if err != nil {
		return err
	}
	progress.Scopes = scope.Within(progress.Scopes, has)
	progress.NATS = progress.NATS && slices.Contains(strings.Fields(from.Signed.Scope), issue.ScopeNATS)
	return nil
}

// mayExchange asks policy whether the caller may have a token of the audience for the one that came: in an exchange, and at the
// Provide Ident API for an audience other than the API's.
func (g *Granter) mayExchange(request *Request, progress *issue.Request) *Error {
	crosses := request.Bearer != "" && request.Audience != request.BearerAudience
	if request.Subject == "" && !crosses {
		return nil
	}
	resource := policy.Resource{Type: v1alpha1.TypeOAuth, Name: progress.Audience.Name}
	message := ""
	switch {
	case !g.Issuer.May(progress, resource, actionExchange):
		message = "no policy lets the caller exchange a token for one of this audience"
	case slices.Contains(progress.Through, progress.Audience.Name):
		message = "the token came from one of this audience, and is not exchanged back"
	case len(progress.Through) > maxThrough:
		message = "the token came through too many audiences"
	default:
		return nil
	}
	return &Error{Kind: NotAllowed, Message: message}
}
