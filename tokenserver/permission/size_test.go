package permission

import (
	"fmt"
	"testing"

	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// TestSize holds what is said before a query is resolved to what comes of it.
func TestSize(t *testing.T) {
	c := catalog(t)
	cases := map[string]struct {
		parameters []string
		want       int
	}{
		"everything": {nil, 4}, "two": {[]string{"team-a/one", "The two"}, 2}, "a type": {[]string{"resource-type:album"}, 3},
		"a scope": {[]string{"#print"}, 2}, "two scopes": {[]string{"#print,view"}, 4}, "the caller's own": {[]string{"resource-type-owner:album"}, 3},
		"one and a set": {[]string{"team-a/one", "#print"}, 3}, "what there is not": {[]string{"resource-type:none"}, 0},
	}
	for name, tc := range cases {
		q, err := Parse(tc.parameters, Form{})
		if err != nil {
			t.Fatal(err)
		}
		if got := q.Size(c, audience); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
		if asks, err := q.Resolve(c, audience, "alice"); err == nil && len(asks) > tc.want {
			t.Errorf("%s: %d asks of %d", name, len(asks), tc.want)
		}
	}
}

// TestOutgrows holds the estimate to what tokens hold: it must not refuse what would be short enough, and must refuse what is long.
func TestOutgrows(t *testing.T) {
	const most = 7 << 10
	var a Answer
	for n := range 200 {
		a.Granted = append(a.Granted, Granted{Ask: &Ask{Resource: res(t, fmt.Sprintf("r%05d", n), "album", "", "view")}, Scopes: []string{"view"}})
		for _, names := range []bool{true, false} {
			length := len(token.AppendPermissions(nil, a.Permissions(names))) * 4 / 3
			if got := a.Outgrows(most, names); got && length <= most || !got && length > 2*most {
				t.Fatalf("%d permissions of %d bytes: %v", n+1, length, got)
			}
		}
	}
}
