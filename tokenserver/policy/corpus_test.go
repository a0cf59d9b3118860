package policy

import (
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// pitfall is a mistake of other token servers, or of their users, that has been met in public. Policies here say what was
// meant there; whoever asks is alice.
type pitfall struct {
	// met says where.
	met string
	// there decides as it is done there, in its own words and with the standard library.
	there func(name string) bool
	// policies are what was meant; who asks, and what else is different about the request.
	policies []object
	request  []func(*Request)
	// widened are names that are granted there, and must not be; narrowed are refused there, and must not be; right are
	// granted there, too.
	widened, narrowed, right []string
}

// extra lets alice have values for a key of extra: a label, an attribute, a claim.
func extra(values ...string) func(*Request) {
	return func(r *Request) { r.Caller.Extra = map[string][]string{"team": values} }
}

func lets(name v1alpha1.ResourceName) []object {
	return []object{allow(on("repository", string(name), "pull"))}
}

func pitfalls() map[string]pitfall {
	matches := func(expression string) func(string) bool { return regexp.MustCompile(expression).MatchString }
	glob := func(pattern string) func(string) bool {
		return func(name string) bool { ok, _ := path.Match(pattern, name); return ok }
	}
	return map[string]pitfall{
		"a regular expression that is not anchored in front": {
			met:   "docker_auth, server/acl.go: /regex/ is tried anywhere in the name; alauda/registry-auth, pkg/server/auth.go: Match",
			there: matches("team-a/.*"), policies: lets("team-a/**"),
			widened: []string{"evil-team-a/x", "evil/team-a/x"}, right: []string{"team-a/x", "team-a/x/y"},
		},
		"a regular expression that is not anchored behind": {
			met:   "as above; keppel anchors all of them (internal/keppel/rbac_policy.go, BoundedRegexp)",
			there: matches("^public"), policies: lets("public"),
			widened: []string{"publicity", "public-not/x", "public/x"}, right: []string{"public"},
		},
		"a dot that means any character": {
			met:   "docker_auth and alauda/registry-auth: expressions, where names of repositories hold dots",
			there: matches("^example.com/.*$"), policies: lets("example.com/**"),
			widened: []string{"exampleXcom/x", "example-com/x"}, right: []string{"example.com/x"},
		},
		"an alternative that swallows the anchor": {
			met:   "whoever anchors an expression by writing ^ and $ around it",
			there: matches("^team-a/.*|team-b/.*$"), policies: append(lets("team-a/**"), lets("team-b/**")...),
			widened: []string{"evil/team-b/x"}, right: []string{"team-a/x", "team-b/x"},
		},
		"a placeholder whose value is an expression": {
			met:   "docker_auth, server/acl.go: labels and capture groups go into the pattern as they are, a label .* widens it",
			there: matches("^" + strings.ReplaceAll("teams/${labels:team}/.*", "${labels:team}", ".*") + "$"), policies: lets("teams/${subject.extra.team}/**"),
			request: []func(*Request){extra(".*")}, widened: []string{"teams/b/x", "teams/b/c/x"},
		},
		"a placeholder whose value is a glob": {
			met:   "docker_auth: the same with a glob, where a label * widens it",
			there: glob(strings.ReplaceAll("teams/${labels:team}/*", "${labels:team}", "*")), policies: lets("teams/${subject.extra.team}/*"),
			request: []func(*Request){extra("*", "**", "?", "[a-z]")}, widened: []string{"teams/b/x"},
		},
		"a placeholder whose value is a placeholder": {
			met: "whoever replaces variables one after the other",
			there: func(name string) bool {
				pattern := strings.ReplaceAll("users/${labels:team}", "${labels:team}", "${account}")
				return name == strings.ReplaceAll(pattern, "${account}", "alice")
			},
			policies: lets("users/${subject.extra.team}"), request: []func(*Request){extra("${subject.username}", "${account}")},
			widened: []string{"users/alice"},
		},
		"a placeholder whose value goes up": {
			met:   "whoever makes a path of the name",
			there: func(name string) bool { return name == path.Join("teams", "../admin", "x") }, policies: lets("teams/${subject.extra.team}/x"),
			request: []func(*Request){extra("../admin", "..", "a/../../admin")}, widened: []string{"admin/x"},
		},
		"a placeholder whose value is empty": {
			met:   "labels of docker_auth, which come from LDAP and OIDC as they are: the pattern loses a segment",
			there: func(name string) bool { return strings.HasPrefix(name, path.Join("teams", "", "")+"/") }, policies: lets("teams/${subject.extra.team}/**"),
			request: []func(*Request){extra("")}, widened: []string{"teams/b/x", "teams/x"},
		},
		"a placeholder without a value": {
			met:   "as above, where the placeholder stands first",
			there: func(name string) bool { return strings.HasPrefix(name, "") }, policies: lets("${subject.extra.team}/**"),
			widened: []string{"x", "teams/b/x"},
		},
		"a star that does not cross a slash": {
			met:   "docker_auth #20, #198, #326: path.Match, with which nobody can say all below",
			there: glob("team-a/*"), policies: lets("team-a/**"),
			narrowed: []string{"team-a/x/y", "team-a/x/y/z"}, right: []string{"team-a/x"},
		},
		"a star that crosses a slash": {
			met:   "whoever makes .* of a star",
			there: matches("^team-a/.*$"), policies: lets("team-a/*"),
			widened: []string{"team-a/x/y"}, right: []string{"team-a/x"},
		},
		"a prefix without its slash": {
			met:   "whoever compares the beginning of a name",
			there: func(name string) bool { return strings.HasPrefix(name, "team-a") }, policies: lets("team-a/**"),
			widened: []string{"team-ab/x", "team-a-secret/x"}, right: []string{"team-a/x", "team-a"},
		},
		"two stars at both ends": {
			met:   "whoever means a word anywhere and gets it as a part of another",
			there: matches("^.*prod.*$"), policies: lets("**/prod/**"),
			widened: []string{"x/nonprod/y", "production/x", "a/prod-b"}, right: []string{"prod", "a/prod", "prod/b", "a/b/prod/c/d"},
		},
		"two stars that must match something": {
			met:   "globs in which ** is one segment or more",
			there: matches("^public/.+$"), policies: lets("public/**"),
			narrowed: []string{"public"}, right: []string{"public/x", "public/x/y"},
		},
		"a name with a host and a port": {
			met:   "alauda/registry-auth: a scope of four parts is an error; docker_auth: 400 for what it cannot split",
			there: func(name string) bool { return strings.Count("repository:"+name+":pull", ":") == 2 }, policies: lets("localhost:5000/**"),
			narrowed: []string{"localhost:5000/team-a/app", "localhost:5000/x"},
		},
		"a name with another port": {
			met:   "whoever cuts a name at a colon",
			there: func(name string) bool { host, _, _ := strings.Cut(name, ":"); return host == "localhost" }, policies: lets("localhost:5000/**"),
			widened: []string{"localhost:5001/x", "localhost:50000/x"}, right: []string{"localhost:5000/x"},
		},
		"the first rule that matches wins": {
			met:      "docker_auth #20, #198, and eslym/registry-auth: a Deny behind an Allow has no effect",
			there:    func(name string) bool { return strings.HasPrefix(name, "team-a/") },
			policies: append(lets("team-a/**"), deny(on("repository", "team-a/secret/**", "*"))),
			widened:  []string{"team-a/secret/x", "team-a/secret"}, right: []string{"team-a/x"},
		},
		"a Deny by an address that is not known": {
			met:   "docker_auth, server/acl.go: no address matches no entry, also where the entry denies",
			there: func(string) bool { return true }, policies: append(lets("**"), deny(on("repository", "**", "*"), from("192.0.2.0/24"))),
			request: []func(*Request){func(r *Request) { r.SourceIP = netip.Addr{} }}, widened: []string{"x"},
		},
		"a name in upper case": {
			met:   "those who compare without regard to case: registries do not",
			there: func(name string) bool { return strings.EqualFold(name, "team-a/app") }, policies: lets("team-a/app"),
			widened: []string{"Team-A/app", "TEAM-A/APP"}, right: []string{"team-a/app"},
		},
		"a name with a line feed": {
			met:   "regular expressions whose $ matches before the last line feed, or whose lines stand for themselves",
			there: matches("(?m)^team-a/app$"), policies: lets("team-a/app"),
			widened: []string{"team-a/app\nx", "x\nteam-a/app"}, right: []string{"team-a/app"},
		},
		"a pattern asked for as a name": {
			met:   "those who match the other way round, or hand the name on to be matched by a registry",
			there: glob("*"), policies: lets("*"),
			widened: []string{"*", "**", "team-*"}, right: []string{"x"},
		},
		"nothing that matches": {met: "Keycloak's docker-v2 mapper: allow all", there: func(string) bool { return true }, widened: []string{"x"}},
		"an ACL that nobody could read": {
			met:      "whoever skips a rule that does not parse, and with it the Deny",
			there:    func(string) bool { return true },
			policies: append(lets("**"), deny(on("repository", "team-a/***", "pull"))), widened: []string{"team-a/x", "x"},
		},
	}
}

func TestPublicPitfalls(t *testing.T) {
	for name, c := range pitfalls() {
		t.Run(name, func(t *testing.T) {
			x := index(c.policies)
			here := func(repository string) bool {
				changes := append([]func(*Request){as(alice()), ask("repository", repository, "pull")}, c.request...)
				return len(x.Decide(request(changes...)).Granted) > 0
			}
			for _, group := range []struct {
				what        string
				names       []string
				there, here bool
			}{{"widened", c.widened, true, false}, {"narrowed", c.narrowed, false, true}, {"right", c.right, true, true}} {
				for _, repository := range group.names {
					if got := c.there(repository); got != group.there {
						t.Errorf("%s: %q: there it is %v, so that this shows nothing", group.what, repository, got)
					}
					if got := here(repository); got != group.here {
						t.Errorf("%s (%s): %q: granted here: %v, want %v", group.what, c.met, repository, got, group.here)
					}
				}
			}
			if len(c.widened)+len(c.narrowed) == 0 {
				t.Error("there is no difference")
			}
		})
	}
}

// TestPublicPitfallsOfActions are those about what is done, from the scope that a client sends to what its token says.
func TestPublicPitfallsOfActions(t *testing.T) {
	pullOnly := allow(on("repository", "**", "pull"))
	cases := map[string]struct {
		met      string
		policies []object
		who      caller.Caller
		scopes   []string
		want     []string
	}{
		"all that is configured instead of what is asked": {
			met: "alauda/registry-auth, pkg/server/auth.go; Harbor's token service", policies: []object{allow(on("repository", "**", "pull", "push", "delete"))},
			scopes: []string{"repository:a:pull"}, want: []string{"repository:a:pull"},
		},
		"all that is asked instead of what is configured": {
			met: "docker_auth with actions [\"*\"]", policies: []object{pullOnly}, scopes: []string{"repository:a:pull,push,delete"}, want: []string{"repository:a:pull"},
		},
		"a star that is handed on": {
			met: "zot matches actions literally; docker_auth returns the * that is asked for", policies: []object{allow(on("repository", "**", "*"))},
			scopes: []string{"repository:a:*"}, want: []string{"repository:a:delete,pull,push"},
		},
		"a star that is more than what is allowed": {
			met: "as above: distribution reads * as everything", policies: []object{pullOnly}, scopes: []string{"repository:a:*"}, want: []string{"repository:a:pull"},
		},
		"only the first scope": {
			met: "alauda/registry-auth reads one parameter", policies: []object{pullOnly},
			scopes: []string{"repository:a:pull", "repository:b:pull"}, want: []string{"repository:a:pull", "repository:b:pull"},
		},
		"only the last scope": {
			met: "GitLab at one time, estesp/manifest-tool#53", policies: []object{pullOnly},
			scopes: []string{"repository:a:pull repository:b:pull"}, want: []string{"repository:a:pull", "repository:b:pull"},
		},
		"scopes that are not split at spaces": {
			met: "portward; Keycloak #17187; docker_auth #67; helm #6214", policies: []object{pullOnly},
			scopes: []string{"repository:h:5000/a:pull repository:b:push"}, want: []string{"repository:h:5000/a:pull"},
		},
		"all or nothing": {
			met: "those who answer 401 or 403 for what is refused in part", policies: []object{allow(on("repository", "a", "pull"))},
			scopes: []string{"repository:a:pull,push repository:b:pull"}, want: []string{"repository:a:pull"},
		},
		"an empty list of actions": {
			met: "docker_auth: actions [] denies; here it is no policy at all, and denies nothing that others allow", policies: []object{pullOnly, allow(on("repository", "**"))},
			scopes: []string{"repository:a:pull"}, want: []string{"repository:a:pull"},
		},
		"everybody with a name instead of everybody": {
			met: "ACLs in which an entry without an account speaks to callers without credentials, too", policies: []object{pullOnly}, who: caller.Anonymous(),
			scopes: []string{"repository:a:pull"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			who := c.who
			if who.Username == "" {
				who = alice()
			}
			scopes, err := scope.Parse(c.scopes)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range scopes {
				if d := index(c.policies).Decide(request(as(who), ask(s.Type, s.Name, s.Actions...))); len(d.Granted) > 0 {
					got = append(got, scope.Scope{Type: s.Type, Name: s.Name, Actions: d.Granted}.String())
				}
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.met, diff)
			}
		})
	}
}
