package ident

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/issue"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

const (
	defaultPage = 25
	// longestPage bounds rpp, and lastPage keeps the product small.
	longestPage = 100
	lastPage    = 1_000_000

	headerTotal = "X-Total-Results-Count"

	actionList   = "list"
	actionRevoke = "revoke"
)

// listed is a recorded token. It holds nothing that could be used as a token.
type listed struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	CreatedAt string `json:"created_at"`
	ExpiresAt string `json:"expires_at"`
	LastUsed  string `json:"last_used_at,omitempty"`
	UserID    string `json:"user_id"`
	Audience  string `json:"aud"`
	ClientID  string `json:"client_id,omitempty"`
}

// List has the form of httpx.Endpoint's Handle: GET /api/v1/tokens. The order is that in which the tokens were made, and
// within one second that of their names, so that pages do not change where tokens come.
func (s *Server) List(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	who, from, err := s.session(r.Context(), r, x)
	if err != nil {
		return err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return httpx.BadRequest("the query is malformed")
	}
	page, err := whole(query, "page", 1, lastPage)
	if err != nil {
		return err
	}
	rpp, err := whole(query, "rpp", defaultPage, longestPage)
	if err != nil {
		return err
	}
	records, err := s.visible(x, from, &who, query)
	if err != nil {
		return err
	}
	w.Header().Set(headerTotal, strconv.Itoa(len(records)))
	w.Header().Set("Access-Control-Expose-Headers", headerTotal)
	first := min((page-1)*rpp, len(records))
	list := []listed{}
	for _, t := range records[first:min(first+rpp, len(records))] {
		list = append(list, listed{
			ID: t.Spec.ID, Type: string(t.Spec.Type), CreatedAt: t.CreationTimestamp.UTC().Format("2006-01-02T15:04:05Z"),
			ExpiresAt: string(t.Spec.Expires), LastUsed: string(t.Status.LastUsed), UserID: userID(t.Spec.Subject.Username),
			Audience: string(t.Spec.Audience), ClientID: t.Spec.ClientID,
		})
	}
	write(w, http.StatusOK, list)
	return nil
}

// visible are the live records that the caller may see: its own, or somebody else's for audiences whose tokens policy lets it
// list. To see none of somebody's is not told from there being none.
func (s *Server) visible(x *httpx.Exchange, from *snapshot.Snapshot, who *grant.Session, query url.Values) ([]*v1alpha1.IssuedToken, error) {
	if len(query["user_id"]) > 1 {
		return nil, httpx.BadRequest("user_id must not be given more than once")
	}
	asked := query.Get("user_id")
	own := asked == "" || s.isCaller(x, from, who, asked)
	switch {
	case !own && !s.may(x, from, who, s.Audience, actionList):
		return nil, forbidden()
	case s.Granter.Records == nil:
		return nil, nil
	case own:
		return s.Granter.Records.List(who.Caller.Username, x.Start), nil
	}
	records := s.Granter.Records.List(asked, x.Start)
	if issue.IsUUID(asked) {
		records = append(records, s.Granter.Records.List(issue.SubjectUser+asked, x.Start)...)
		slices.SortStableFunc(records, func(a, b *v1alpha1.IssuedToken) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	}
	allowed := map[string]bool{}
	return slices.DeleteFunc(records, func(t *v1alpha1.IssuedToken) bool {
		audience := string(t.Spec.Audience)
		if _, known := allowed[audience]; !known {
			allowed[audience] = s.may(x, from, who, audience, actionList)
		}
		return !allowed[audience]
	}), nil
}

// isCaller says whether a user_id is the caller's: the name, the UUID in it, or what policies say.
func (s *Server) isCaller(x *httpx.Exchange, from *snapshot.Snapshot, who *grant.Session, id string) bool {
	return id == who.Caller.Username || id == userID(who.Caller.Username) ||
		s.Granter.Is(from, who.Caller, s.request(x), s.Audience, issue.Ids{User: id})
}

// may says whether a rule of type oauth lets the caller do something with the tokens of an audience.
func (s *Server) may(x *httpx.Exchange, from *snapshot.Snapshot, who *grant.Session, audience, action string) bool {
	return s.Granter.May(from, who.Caller, s.request(x), audience, action)
}

// whole reads a number from 1 to most.
func whole(query url.Values, name string, unsaid, most int) (int, error) {
	if !query.Has(name) {
		return unsaid, nil
	}
	n, err := strconv.Atoi(query.Get(name))
	if err != nil || n < 1 || n > most || len(query[name]) > 1 {
		return 0, httpx.BadRequest(name + " must be a whole number from 1 to " + strconv.Itoa(most))
	}
	return n, nil
}
