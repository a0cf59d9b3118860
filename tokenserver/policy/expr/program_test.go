package expr

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

func facts() Facts {
	return Facts{
		Caller: caller.Caller{
			Username: "system:serviceaccount:team-a:ci",
			UID:      "u1",
			Groups:   []string{"system:authenticated", "corp:devs"},
			Extra:    map[string][]string{"ref": {"refs/heads/main", "x"}},
			Provider: "cluster",
			Method:   caller.MethodServiceAccount,
		},
		ResourceType: "repository", ResourceNamespace: "", ResourceName: "team-a/app",
		Audience: "registry.example.com",
		SourceIP: netip.MustParseAddr("::ffff:10.1.2.3"),
		ClientID: "docker",
		Time:     time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC),
		Claims:   map[string]any{"amr": []any{"mfa"}, "level": float64(3)},
	}
}

func TestEvaluate(t *testing.T) {
	cases := map[string]struct {
		expression string
		want       bool
		wantErr    bool
	}{
		"values of extra are lists":                    {expression: `subject.extra['ref'].exists(r, r == 'refs/heads/main')`, want: true},
		"extra can be selected like a field":           {expression: `'x' in subject.extra.ref`, want: true},
		"an absent key fails":                          {expression: `'x' in subject.extra['nope']`, wantErr: true},
		"an absent key can be asked about":             {expression: `'nope' in subject.extra && 'x' in subject.extra['nope']`},
		"has tells whether a key is there":             {expression: `has(subject.extra.ref) && !has(subject.extra.nope)`, want: true},
		"all of subject is there":                      {expression: `subject.username == 'system:serviceaccount:team-a:ci' && subject.uid == 'u1' && subject.namespace == 'team-a' && subject.serviceAccount == 'ci' && subject.provider == 'cluster' && subject.method == 'serviceaccount' && 'corp:devs' in subject.groups`, want: true},
		"all of resource is there":                     {expression: `resource.type == 'repository' && resource.namespace == '' && resource.name.startsWith(subject.namespace + '/')`, want: true},
		"action and audience are there":                {expression: `action == 'pull' && audience == 'registry.example.com'`, want: true},
		"a mapped address is the IPv4 address":         {expression: `request.ip == '10.1.2.3' && cidr('10.0.0.0/8').containsIP(request.ip)`, want: true},
		"the time is a timestamp":                      {expression: `request.time.getHours() == 10 && request.time > timestamp('2026-01-01T00:00:00Z')`, want: true},
		"claims are whatever they are":                 {expression: `request.claims.level >= 3.0 && 'mfa' in request.claims.amr`, want: true},
		"a claim of another type fails":                {expression: `request.claims.level.startsWith('a')`, wantErr: true},
		"an absent claim fails":                        {expression: `request.claims.nope == 'a'`, wantErr: true},
		"a claim can be asked for before":              {expression: `"amr" in request.claims && "mfa" in request.claims["amr"]`, want: true},
		"an absent claim that is asked for is no":      {expression: `"ward" in request.claims && "7" in request.claims["ward"]`},
		"a list is not its one text":                   {expression: `request.claims["amr"] == "mfa"`},
		"true on one side absorbs a failure":           {expression: `request.claims.nope == 'a' || true`, want: true},
		"Kubernetes' libraries are on":                 {expression: `'a1'.find('[0-9]') == '1' && url('https://a/b').getHost() == 'a' && sets.contains([1,2],[1])`, want: true},
		"division by zero fails":                       {expression: `1 / (size(subject.groups) - 2) == 1`, wantErr: true},
		"a list's index past the end fails":            {expression: `subject.groups[9] == 'a'`, wantErr: true},
		"a client id that nobody proved can be tested": {expression: `request.clientID != 'docker'`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := Compile(c.expression)
			if err != nil {
				t.Fatal(err)
			}
			in := NewInput(facts())
			in.Action = "pull"
			got, cost, err := p.Evaluate(in)
			if got != c.want || (err != nil) != c.wantErr {
				t.Errorf("got %v, %v, want %v, error %v", got, err, c.want, c.wantErr)
			}
			if cost > MaxCost {
				t.Errorf("cost %d", cost)
			}
		})
	}
}

// TestDetailsThatAreNotKnown has a caller of whom there could be a uid and extra. Whatever an expression wants of them, the answer is
// none: a Deny matches, and an Allow does not.
func TestDetailsThatAreNotKnown(t *testing.T) {
	unknown := facts()
	unknown.Caller.UID, unknown.Caller.Extra, unknown.Caller.DetailsUnknown = "", nil, true
	absent := unknown
	absent.Caller.DetailsUnknown = false
	for _, expression := range []string{
		`'ref' in subject.extra`,
		`!('ref' in subject.extra)`,
		`size(subject.extra) == 0`,
		`has(subject.extra.ref)`,
		`!has(subject.extra.ref)`,
		`has(subject.extra) && 'ref' in subject.extra`,
		`subject.extra.exists(k, k == 'ref')`,
		`subject.extra.all(k, k != 'ref')`,
		`subject.?extra[?'ref'].hasValue()`,
		`subject.?extra.orValue({}).size() == 0`,
		`[subject.uid].exists(u, u == '')`,
		`subject.uid == ''`,
		`subject.uid != 'u1'`,
		`'u1'.startsWith(subject.uid)`,
		`(subject.username == '' ? subject.username : subject.uid) == ''`,
	} {
		t.Run(expression, func(t *testing.T) {
			p, err := Compile(expression)
			if err != nil {
				t.Fatal(err)
			}
			if got, _, err := p.Evaluate(NewInput(unknown)); err == nil {
				t.Errorf("got %v of what is not known", got)
			}
			if got, _, err := p.Evaluate(NewInput(absent)); err != nil {
				t.Errorf("got %v, %v of what is known to be absent", got, err)
			}
		})
	}
	p, err := Compile(`subject.namespace == 'team-a' && subject.provider == 'cluster'`)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := p.Evaluate(NewInput(unknown)); !got || err != nil {
		t.Errorf("got %v, %v of what is known", got, err)
	}
}

func TestNothingKnown(t *testing.T) {
	p, err := Compile(`subject.username == '' && size(subject.groups) == 0 && size(subject.extra) == 0 && request.ip == '' &&
		size(request.claims) == 0 && action == '' && audience == '' && resource.name == ''`)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := p.Evaluate(NewInput(Facts{})); !got || err != nil {
		t.Errorf("got %v, %v: what is not known must be empty, not absent", got, err)
	}
	p, err = Compile(`request.time < timestamp('2026-01-01T00:00:00Z')`)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := p.Evaluate(NewInput(Facts{})); got || err == nil {
		t.Errorf("got %v, %v: a time that is not known must not be compared", got, err)
	}
}

func TestCompileRefuses(t *testing.T) {
	cases := map[string]struct{ expression, want string }{
		"nothing":                           {"", "must be CEL"},
		"what does not parse":               {"subject.", "must be CEL"},
		"an unknown variable":               {"object.metadata.name == 'a'", "undeclared reference"},
		"a misspelt field":                  {"subject.usernme == 'a'", "undefined field"},
		"an unknown field of request":       {"request.header == 'a'", "undefined field"},
		"a text":                            {"'a'", "must yield bool, not string"},
		"a value of unknown type":           {"request.claims.admin", "must yield bool, not dyn"},
		"a number":                          {"1", "must yield bool"},
		"a comparison of different types":   {"subject.username == 1", "must be CEL"},
		"a broken regular expression":       {"subject.username.matches('(')", "must be one of RE2"},
		"nested loops that cost too much":   {"subject.groups.all(a, subject.groups.all(b, subject.groups.all(c, a + b + c != '')))", "must cost at most"},
		"loops over a literal's product":    {"[1,2,3,4,5,6,7,8,9,10,11,12,13,14].all(a, [1,2,3,4,5,6,7,8,9,10,11,12,13,14].all(b, [1,2,3,4,5,6,7,8,9,10,11,12,13,14].all(c, [1,2,3,4,5,6,7,8,9,10,11,12,13,14].all(d, a+b+c+d > 0))))", "must cost at most"},
		"an assignment":                     {"action = 'a'", "must be CEL"},
		"more than the bytes that may come": {strings.Repeat(" ", MaxLength) + "true", "must be at most"},
		"deep nesting":                      {strings.Repeat("(", 1000) + "true" + strings.Repeat(")", 1000), "must be CEL"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(c.expression)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestUsesAction(t *testing.T) {
	for expression, want := range map[string]bool{
		"action == 'pull'":                      true,
		"subject.groups.exists(g, g == action)": true,
		"audience == 'action'":                  false,
		"subject.username == 'a'":               false,
	} {
		p, err := Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.UsesAction(); got != want {
			t.Errorf("%s: got %v, want %v", expression, got, want)
		}
	}
}

func TestCostIsBoundedAtRunTime(t *testing.T) {
	p, err := Compile(`subject.groups.all(a, a != 'x')`)
	if err != nil {
		t.Fatal(err)
	}
	f := facts()
	f.Caller.Groups = make([]string, 100_000)
	for i := range f.Caller.Groups {
		f.Caller.Groups[i] = "g"
	}
	start := time.Now()
	got, cost, err := p.Evaluate(NewInput(f))
	if got || !errors.Is(err, ErrCost) {
		t.Errorf("got %v, %v, want %v", got, err, ErrCost)
	}
	if cost < MaxCost {
		t.Errorf("cost %d: a failure must be charged in full", cost)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(`subject.extra['ref'].exists(r, r == 'refs/heads/main')`)
	f.Add(`cidr('10.0.0.0/8').containsIP(request.ip)`)
	f.Add(`action in ['pull'] && request.time.getHours() < 3`)
	for _, text := range attacks() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		start := time.Now()
		p, err := Compile(text)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		if err != nil {
			return
		}
		start = time.Now()
		p.Evaluate(NewInput(facts())) //nolint:errcheck // any outcome will do, in time
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("evaluation took %v", took)
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	p, err := Compile(`subject.extra['ref'].exists(r, r == 'refs/heads/main')`)
	if err != nil {
		b.Fatal(err)
	}
	in := NewInput(facts())
	b.ReportAllocs()
	for b.Loop() {
		if ok, _, _ := p.Evaluate(in); !ok {
			b.Fatal("denied")
		}
	}
}

// BenchmarkCompile tells what one more expression costs that no policy had before: time, and bytes that stay.
func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	var kept []*Program
	before := heap()
	for b.Loop() {
		p, err := Compile(fmt.Sprintf(`subject.extra['ref'].exists(r, r == 'refs/heads/release-%d')`, len(kept)))
		if err != nil {
			b.Fatal(err)
		}
		kept = append(kept, p)
	}
	b.ReportMetric(float64(heap()-before)/float64(len(kept)), "B-retained/op")
	runtime.KeepAlive(kept)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
