package tokenserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/uma/enforce"
)

// guarded is a resource server whose token server stores what it registers.
type guarded struct {
	transcript
	server   *resourceServer
	registry *registry
}

// startGuarded runs both. The ServiceAccount ci/builder protects the API, and registers for others.
func startGuarded(t *testing.T, keycloak bool) *guarded {
	t.Helper()
	var there *registry
	w := startUMA(t, func(options *Options, parts *Parts, input *snapshot.Input) {
		options.UMAKeycloak = keycloak
		options.Issuer = "http://" + options.Listener.Addr().String()
		builder := []v1alpha1.Subject{{Kind: v1alpha1.SubjectServiceAccount, Namespace: "ci", Name: "builder"}}
		policies := fixture.Policies(t, slices.Concat(oauthPolicies(), []*v1alpha1.ClusterAccessPolicy{
			fixture.Cluster("protects", append(users("rs"), builder...), oauthRule(api, "uma_protection"), nil),
			fixture.Cluster("for-others", builder, oauthRule(api, "register_for_others"), nil),
		})...)
		input.Policies = fixture.Owners(policies, protected(t)...)
		there = startRegistry(t, parts, input, policies)
	})
	s := protect(t, w, func(config *enforce.Config) { config.Claims = nil })
	g := &guarded{transcript{umaWorld: w}, s, there}
	g.as("issuer", w.url)
	return g
}

// ask has a client come to the resource server.
func (g *guarded) ask(t *testing.T, title, path, rpt string) reply {
	t.Helper()
	authorization := ""
	if rpt != "" {
		authorization = "Bearer " + rpt
	}
	answer := g.server.ask(t, http.MethodGet, path, rpt)
	g.exchange(title+" (the resource server answers)", "GET "+path, authorization, "", answer)
	return answer
}

const (
	pathResources  = "/authz/protection/resource_set"
	pathPermission = "/authz/protection/permission"
	pathRequests   = "/authz/protection/permission/ticket"
)

// TestTheResourceServersFlow sends what the documentation of Keycloak's protection API has resource servers and policy enforcers
// send, and compares the answers with those of testdata, which has one file for each spelling.
func TestTheResourceServersFlow(t *testing.T) {
	for name, keycloak := range map[string]bool{"kantara": false, "keycloak": true} {
		t.Run(name, func(t *testing.T) {
			g := startGuarded(t, keycloak)
			pat, id := g.registers(t)
			g.tickets(t, pat)
			g.owners(t, pat, id)
			g.gone(t, pat, id)
			g.compare(t, "uma-protection-"+name+".txt")
		})
	}
}

func (g *guarded) registers(t *testing.T) (pat, id string) {
	t.Helper()
	form := values("grant_type", "client_credentials", "audience", api, "scope", "uma_protection")
	answer := g.umaWorld.form(t, "/token", "x", g.cluster.token(t, time.Hour, nil), form)
	pat = answer.text(t, "access_token")
	g.exchange("A protection API token", "POST /token", "Basic <the token of the ServiceAccount as password>",
		"audience="+api+"\ngrant_type=client_credentials\nscope=uma_protection", answer)
	g.as("PAT", pat)
	const body = `{"name":"Alice's photos","type":"album","icon_uri":"https://photos.example.com/icon.png","resource_scopes":["view","print"],` +
		`"uris":["/photos/alice/*"],"owner":"alice","ownerManagedAccess":true,"attributes":{"ward":["7"]}}`
	g.older(t, "A resource is registered", pat, http.MethodPost, pathResources, body)
	id, _ = fields(t, g.json(t, http.MethodPost, pathResources, pat, body).body)["_id"].(string)
	g.older(t, "It is registered once more, with other scopes", pat, http.MethodPost, pathResources, strings.Replace(body, `,"print"`, "", 1))
	g.older(t, "Without scopes", pat, http.MethodPost, pathResources, `{"name":"x"}`)
	g.older(t, "It is read", pat, http.MethodGet, pathResources+"/"+id, "")
	g.older(t, "It is changed", pat, http.MethodPut, pathResources+"/"+id, `{"name":"Alice's photos","type":"album","resource_scopes":["view","print","edit"],"uris":["/photos/alice/*"]}`)
	g.older(t, "Another server's is read", pat, http.MethodGet, pathResources+"/orders/us-1", "")
	g.older(t, "Another namespace's is changed", pat, http.MethodPut, pathResources+"/orders/eu-1", `{"name":"x","resource_scopes":["y"]}`)
	g.older(t, "All are listed", pat, http.MethodGet, pathResources, "")
	g.older(t, "Those of a uri are listed", pat, http.MethodGet, pathResources+"?uri="+url.QueryEscape("/photos/alice/*"), "")
	g.older(t, "Those of a path are listed", pat, http.MethodGet, pathResources+"?matchingUri=true&deep=true&max=1&uri=/photos/alice/1.jpg", "")
	g.older(t, "Those of a name are listed", pat, http.MethodGet, pathResources+"?name=Order&type=order&scope=read&first=1", "")
	g.older(t, "A method that is not served", pat, http.MethodPatch, pathResources, `{}`)
	return pat, id
}

func (g *guarded) tickets(t *testing.T, pat string) {
	t.Helper()
	alice := g.as("access token of alice", g.aat(t, "alice", "secret", api, "uma_authorization"))
	g.older(t, "A ticket for one permission", pat, http.MethodPost, pathPermission, `{"resource_id":"orders/eu-1","resource_scopes":["read"]}`)
	g.older(t, "A ticket for several", pat, http.MethodPost, pathPermission, `[{"resource_id":"orders/eu-1","resource_scopes":["read"]},{"resource_id":"orders/eu-2","claims":{"ward":["7"]}}]`)
	g.older(t, "An unknown resource", pat, http.MethodPost, pathPermission, `[{"resource_id":"none"}]`)
	g.older(t, "An unknown scope", pat, http.MethodPost, pathPermission, `[{"resource_id":"orders/eu-1","resource_scopes":["fly"]}]`)
	g.older(t, "No permission", pat, http.MethodPost, pathPermission, `[]`)
	g.older(t, "Nobody asks for a ticket", "", http.MethodPost, pathPermission, `[{"resource_id":"orders/eu-1"}]`)
	g.older(t, "A user asks for a ticket", alice, http.MethodPost, pathPermission, `[{"resource_id":"orders/eu-1"}]`)
	challenge := g.ask(t, "A client comes without a token", "/orders/17", "").header.Get("WWW-Authenticate")
	_, ticket, _ := strings.Cut(challenge, `ticket="`)
	ticket = g.as("ticket of the challenge", strings.TrimSuffix(ticket, `"`))
	g.form(t, "The ticket of the challenge", alice, "/token", values("grant_type", umaGrant, "ticket", ticket))
	rpt := g.umaWorld.form(t, "/token", "bearer", alice, umaForm("permission", "orders/eu-1#read")).text(t, "access_token")
	g.ask(t, "A client comes with an RPT", "/orders/17", g.as("RPT", rpt))
	g.older(t, "UMA 1: all that alice may", alice, http.MethodGet, "/authz/entitlement/"+url.PathEscape(api), "")
	g.older(t, "Metadata", "", http.MethodGet, "/.well-known/uma2-configuration", "")
}

// owners has bob ask alice, who says yes to a part.
func (g *guarded) owners(t *testing.T, pat, id string) {
	t.Helper()
	bob := g.as("access token of bob", g.aat(t, "bob", "hunter2", api, "uma_authorization"))
	alice := g.as("access token of alice", g.aat(t, "alice", "secret", api, "uma_authorization"))
	g.older(t, "Bob asks for himself", bob, http.MethodPost, pathRequests, `{"resource":"`+id+`","scopes":["view","print"]}`)
	list := g.json(t, http.MethodGet, pathRequests, alice, "")
	asked, _ := decoded(t, string(list.body)).([]any)
	if len(asked) != 1 {
		t.Fatalf("%d %s", list.status, list.body)
	}
	request, _ := asked[0].(map[string]any)["id"].(string)
	g.older(t, "Alice sees what she is asked", alice, http.MethodGet, pathRequests+"?returnNames=true&granted=false", "")
	g.older(t, "Bob decides", bob, http.MethodPut, pathRequests, `{"id":"`+request+`","granted":true}`)
	g.older(t, "Alice says yes to a part", alice, http.MethodPut, pathRequests, `{"id":"`+request+`","granted":true,"scopes":["view"]}`)
	g.older(t, "The request afterwards", bob, http.MethodGet, pathRequests+"/"+request, "")
	g.older(t, "The resource server asks for bob, and says yes", pat, http.MethodPost, pathRequests, `{"resource":"`+id+`","requester":"bob","scopeName":"edit","granted":true}`)
	g.older(t, "Bob does not want it any more", bob, http.MethodDelete, pathRequests+"/"+request, "")
	g.older(t, "It is gone", bob, http.MethodGet, pathRequests+"/"+request, "")
	g.older(t, "A resource whose owner decides nothing", bob, http.MethodPost, pathRequests, `{"resource":"orders/eu-1"}`)
}

func (g *guarded) gone(t *testing.T, pat, id string) {
	t.Helper()
	g.older(t, "A resource is deleted", pat, http.MethodDelete, pathResources+"/"+id, "")
	g.older(t, "A resource is gone", pat, http.MethodGet, pathResources+"/"+id, "")
}

// TestWhatIsRefusedIsRecorded reads the audit log after refusals of the protection API: who came, for which resource server, and why,
// but no token.
func TestWhatIsRefusedIsRecorded(t *testing.T) {
	w := startKeycloak(t)
	rs := w.umaWorld.form(t, "/token", "rs", "rs-secret",
		values("grant_type", "client_credentials", "audience", api, "scope", "uma_protection")).text(t, "access_token")
	w.json(t, http.MethodGet, pathResources, "", "")
	w.json(t, http.MethodPost, pathPermission, "nonsense", `[]`)
	w.json(t, http.MethodGet, pathResources+"/x", w.alice, "")
	w.json(t, http.MethodPost, "/access/v1/evaluations", w.bob, `{}`)
	w.json(t, http.MethodPost, pathResources, w.pat, `{"name":"Photos","resource_scopes":["other"],"owner":"alice"}`)
	w.json(t, http.MethodPut, pathResources+"/orders/eu-1", w.pat, `{"name":"x","resource_scopes":["y"]}`)
	w.json(t, http.MethodDelete, pathResources+"/orders/eu-1", w.pat, "")
	w.json(t, http.MethodPost, pathRequests, w.bob, `{"resource":"`+w.photos+`","requester":"bob","granted":true}`)
	w.json(t, http.MethodGet, pathRequests, "", "")
	w.json(t, http.MethodPost, pathResources, w.pat, `{"_id":"`+w.bob+`","name":"x","resource_scopes":["view"],"owner":"alice"}`)
	w.json(t, http.MethodDelete, pathResources+"/twr_0-1-abcdefghijklmnopqrstuvwxyz.c2VjcmV0.dGFpbA", rs, "")
	w.json(t, http.MethodPost, pathResources, w.pat, `{}`) // it is malformed, and refuses nobody anything
	const builder = "system:serviceaccount:ci:builder"
	want := []string{
		"authzen_evaluations InsufficientScope bob " + api, "uma_permission BadCredentials  ", "uma_requests BadClient  ",
		"uma_requests NotAllowed bob " + api + " " + w.photos, "uma_resource InsufficientScope alice " + api,
		"uma_resource NotAllowed rs " + api, "uma_resource NotAllowed " + builder + " " + api + " orders/eu-1", "uma_resource NotAllowed " + builder + " " + api + " orders/eu-1",
		"uma_resource_set BadCredentials  ", "uma_resource_set Conflict " + builder + " " + api + " Photos",
	}
	var got []string
	waitFor(t, "all refusals are in the audit log", func() bool {
		got = refusals(t, readFile(t, w.auditFile))
		return len(got) >= len(want)
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bearer := range []string{w.pat, w.alice, w.bob, "x.c2VjcmV0"} {
		if strings.Contains(readFile(t, w.auditFile), strings.Split(bearer, ".")[1]) {
			t.Error("a token is in the audit log")
		}
	}
}

// refusals are those of the log, sorted: endpoint, error, subject, audience and what the request names.
func refusals(t *testing.T, log string) []string {
	t.Helper()
	var list []string
	for line := range strings.Lines(log) {
		var record struct {
			Outcome, Grant, Error, Subject, Audience string
			Requested                                []string
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record.Outcome == "refused" {
			said := []string{record.Grant, record.Error, record.Subject, record.Audience}
			list = append(list, strings.Join(append(said, record.Requested...), " "))
		}
	}
	slices.Sort(list)
	return list
}
