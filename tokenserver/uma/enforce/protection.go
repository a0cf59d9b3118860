package enforce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	maxClaims, maxClaimBytes = 32, 4 << 10
	// maxTicket is the longest ticket in bytes that is handed on.
	maxTicket = 8 << 10
	// maxNowhere is how many look-ups that found nothing are remembered.
	maxNowhere = 256
)

// errNoResource says that the server has no resource for a path.
var errNoResource = errors.New("no protected resource has the path")

// authorized runs something with the PAT; once more with another one if the server does not take the first.
func (e *Enforcer) authorized(ctx context.Context, run func(pat string) error) error {
	pat, err := e.pat.get(ctx)
	if err != nil {
		return err
	}
	err = e.authority.forStranger(ctx, func() error { return run(pat) })
	var refused *refusal
	if !errors.As(err, &refused) || refused.status != http.StatusUnauthorized {
		return err
	}
	e.pat.drop(func(kept string) bool { return kept == pat })
	if pat, err = e.pat.get(ctx); err != nil {
		return err
	}
	return e.authority.forStranger(ctx, func() error { return run(pat) })
}

// ticket asks for a permission ticket (UMA 2.0, Federated Authorization, section 4). Each is for one challenge and never shared: who
// uses it first has used it up.
func (e *Enforcer) ticket(r *http.Request, resource string, scopes []string) (string, error) {
	const what = "ask for a ticket"
	ctx := r.Context()
	type permission struct {
		ID     string              `json:"resource_id"`
		Scopes []string            `json:"resource_scopes"`
		Claims map[string][]string `json:"claims,omitempty"`
	}
	asked := permission{ID: resource, Scopes: scopes}
	if e.config.Claims != nil {
		asked.Claims = e.config.Claims(r)
	}
	if err := checkClaims(asked.Claims); err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	at, err := e.endpoint(ctx, what, func(all Endpoints) string { return all.Permission })
	if err != nil {
		return "", err
	}
	var answer struct {
		Ticket string `json:"ticket"`
	}
	if err := e.authorized(ctx, func(pat string) error { return e.authority.postJSON(ctx, what, at, pat, body, &answer) }); err != nil {
		return "", err
	}
	if len(answer.Ticket) > maxTicket || !isToken(answer.Ticket) {
		return "", fmt.Errorf("%s: what came is none", what)
	}
	return answer.Ticket, nil
}

func checkClaims(claims map[string][]string) error {
	size := 0
	for name, values := range claims {
		size += len(name)
		for _, v := range values {
			size += len(v)
		}
	}
	if len(claims) > maxClaims || size > maxClaimBytes {
		return fmt.Errorf("the claims are more than %d, or have more than %d bytes", maxClaims, maxClaimBytes)
	}
	return nil
}

// resourceOf is the id of the resource behind a path.
func (e *Enforcer) resourceOf(ctx context.Context, p *Path, target string) (string, error) {
	switch {
	case p.Resource != "":
		return p.Resource, nil
	case p.Name != "":
		return e.lookUp(ctx, url.Values{"name": {p.Name}, "exactName": {"true"}})
	}
	return e.lookUp(ctx, url.Values{"uri": {target}, "matchingUri": {"true"}})
}

// nowhereFor is how long is remembered that there is no resource: one that was registered a moment ago is served at its uris as soon
// as they are claimed, and must not be missed for long.
const nowhereFor = time.Second

// lookUp asks the protection API for the one resource of a query. Answers are remembered, also that there is none.
func (e *Enforcer) lookUp(ctx context.Context, query url.Values) (string, error) {
	key := query.Encode()
	id, known := e.remembered(key)
	if !known {
		var err error
		id, err = e.lookups.do(ctx, e.config.Timeout, key, func(ctx context.Context) (string, error) {
			// Another request may have had the answer between this one's look and its turn.
			if id, known := e.remembered(key); known {
				return id, nil
			}
			return e.ask(ctx, key)
		})
		if err != nil {
			return "", err
		}
	}
	if id == "" {
		return "", errNoResource
	}
	return e.inNamespace(id)
}

// remembered is the answer to a query, or none if the server said that there is no such resource.
func (e *Enforcer) remembered(key string) (id string, known bool) {
	now := e.config.Clock()
	if id, known = e.resources.get(key, now); known {
		return id, true
	}
	_, known = e.nowhere.get(key, now)
	return "", known
}

// ask sends a query, and remembers the answer.
func (e *Enforcer) ask(ctx context.Context, key string) (string, error) {
	const what = "look up a resource"
	at, err := e.endpoint(ctx, what, func(all Endpoints) string { return all.Resources })
	if err != nil {
		return "", err
	}
	var ids []string
	err = e.authorized(ctx, func(pat string) error { return e.authority.get(ctx, what, at+separator(at)+key, pat, &ids) })
	now := e.config.Clock()
	switch {
	case err != nil:
		return "", err
	case len(ids) > 1:
		return "", fmt.Errorf("%s: the server has %d for the same name or path: configure Path.Resource, the id, instead", what, len(ids))
	case len(ids) == 0 || ids[0] == "":
		e.nowhere.put(key, struct{}{}, now.Add(min(e.config.Cache.Lifetime, nowhereFor)))
		return "", nil
	}
	e.resources.put(key, ids[0], now.Add(e.config.Cache.Lifetime))
	return ids[0], nil
}

// inNamespace refuses what a neighbour registered by the name or path.
func (e *Enforcer) inNamespace(id string) (string, error) {
	if e.config.Namespace != "" && !strings.HasPrefix(id, e.config.Namespace+"/") {
		return "", fmt.Errorf("the resource %q of the name or path is not one of config.Namespace: configure Path.Resource, the id, instead", id)
	}
	return id, nil
}

func separator(at string) string {
	if strings.Contains(at, "?") {
		return "&"
	}
	return "?"
}
