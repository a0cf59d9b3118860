package review

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	kjson "sigs.k8s.io/json"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/manifest"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// Cases are requests, and what is expected of them: the file of `policy test`.
type Cases struct {
	// Manifests are files and folders, seen from the file.
	Manifests []string `json:"manifests,omitempty"`
	// Namespace is that of manifests which name none.
	Namespace string `json:"namespace,omitempty"`
	// Audience is that of cases which name none.
	Audience string `json:"audience,omitempty"`
	// Cases are at least one.
	Cases []Case `json:"-"`
}

// Case is a request by somebody.
type Case struct {
	// Name tells it from others.
	Name string `json:"name,omitempty"`
	// As, UID, Provider, Method, Groups and Extra are who asks, as for kubectl's --as.
	As       string              `json:"as"`
	UID      string              `json:"uid,omitempty"`
	Provider string              `json:"provider,omitempty"`
	Method   caller.Method       `json:"method,omitempty"`
	Groups   []string            `json:"groups,omitempty"`
	Extra    map[string][]string `json:"extra,omitempty"`
	// From is the address, At the time; empty: not known, and now.
	From string            `json:"from,omitempty"`
	At   v1alpha1.DateTime `json:"at,omitempty"`
	// Audience is what the token is for.
	Audience string `json:"audience,omitempty"`
	// Request is the type and the name of a resource, such as repository:team-a/app; Namespace that of a ProtectedResource.
	Request   string `json:"request"`
	Namespace string `json:"namespace,omitempty"`
	// Actions are asked for, and Expect granted; an empty list is nothing.
	Actions []string  `json:"actions"`
	Expect  *[]string `json:"expect,omitempty"`
}

// ParseCases reads the file of `policy test`. Cases are a list, or a map from their names; those of a map are in the order
// of the names. An error says what must be changed.
func ParseCases(text []byte) (*Cases, error) {
	var file struct {
		Cases
		Raw rawCases `json:"cases"`
	}
	if err := manifest.Decode(text, &file); err != nil {
		return nil, err
	}
	cases, err := file.Raw.read()
	if err != nil {
		return nil, fmt.Errorf("cases%w", err)
	}
	if len(cases) == 0 {
		return nil, errors.New("cases: there must be at least one: a table without any cannot fail")
	}
	names := map[string]bool{}
	for i := range cases {
		if names[cases[i].Name] {
			return nil, fmt.Errorf("cases[%d]: there is another case with the name %q", i, cases[i].Name)
		}
		names[cases[i].Name] = true
		cases[i].Audience = cmp.Or(cases[i].Audience, file.Audience)
	}
	file.Cases.Cases = cases
	return &file.Cases, nil
}

// rawCases are cases in either form.
type rawCases []byte

// UnmarshalJSON keeps the text.
func (r *rawCases) UnmarshalJSON(text []byte) error {
	*r = bytes.Clone(text)
	return nil
}

func (r rawCases) read() ([]Case, error) {
	if !bytes.HasPrefix(r, []byte("{")) {
		var list []Case
		if err := strictly(r, &list); err != nil {
			return nil, err
		}
		for i := range list {
			if list[i].Name == "" {
				list[i].Name = fmt.Sprintf("case %d", i+1)
			}
		}
		return list, nil
	}
	var byName map[string]Case
	if err := strictly(r, &byName); err != nil {
		return nil, err
	}
	list := make([]Case, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		c := byName[name]
		if c.Name != "" {
			return nil, fmt.Errorf(".%s: must not have a name beside its key", name)
		}
		c.Name = name
		list = append(list, c)
	}
	return list, nil
}

func strictly(text []byte, into any) error {
	if len(text) == 0 {
		return nil
	}
	unknown, err := kjson.UnmarshalStrict(text, into)
	if err != nil {
		return fmt.Errorf(": %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	for _, err := range unknown {
		var f kjson.FieldError
		if errors.As(err, &f) {
			return fmt.Errorf(" %s: there is no such field", f.FieldPath())
		}
	}
	return nil
}

// Question is the request of the case; now is its time if it names none.
func (c Case) Question(now time.Time) (policy.Request, error) {
	who, err := Who{User: c.As, UID: c.UID, Provider: c.Provider, Method: c.Method, Groups: c.Groups, Extra: c.Extra}.Caller()
	if err != nil {
		return policy.Request{}, fmt.Errorf("as: %w", err)
	}
	req := policy.Request{Caller: who, Audience: c.Audience, Actions: c.Actions, Time: now}
	if c.Audience == "" {
		return policy.Request{}, errors.New("audience: must be given, here or for all cases")
	}
	if c.From != "" {
		if req.SourceIP, err = netip.ParseAddr(c.From); err != nil {
			return policy.Request{}, fmt.Errorf("from: %q is no address", c.From)
		}
	}
	if c.At != "" {
		if req.Time, err = c.At.Parse(); err != nil {
			return policy.Request{}, fmt.Errorf("at: %w", err)
		}
	}
	typ, name, found := strings.Cut(c.Request, ":")
	if !found {
		return policy.Request{}, fmt.Errorf("request: %q must be the type and the name of a resource, such as repository:team-a/app", c.Request)
	}
	req.Resource = policy.Resource{Type: typ, Namespace: c.Namespace, Name: name}
	return req, Askable(req)
}
