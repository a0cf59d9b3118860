package scope

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWithin(t *testing.T) {
	cases := map[string]struct{ reason, asked, has, want string }{
		"A part of the actions":       {"what both have", "a:x:read,write", "a:x:read,delete", "a:x:read"},
		"All actions":                 {"a star stands for what there is", "a:x:*", "a:x:delete,read", "a:x:delete,read"},
		"A star that one has":         {"it is an action like others", "registry:catalog:*", "registry:catalog:*", "registry:catalog:*"},
		"An action beside a star":     {"to have a star is to have that, and no other action", "a:x:read", "a:x:*", ""},
		"Another name":                {"it is not had", "a:y:read", "a:x:read", ""},
		"Another type":                {"it is not had", "b:x:read", "a:x:read", ""},
		"Nothing had":                 {"nothing lies within", "a:x:read", "", ""},
		"Nothing asked":               {"nothing is given that was not asked for", "", "a:x:read", ""},
		"Several, of which some hold": {"the order stays", "a:x:read a:y:read b:x:read", "b:x:read a:x:read", "a:x:read b:x:read"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			asked, err := Parse([]string{tc.asked})
			if err != nil {
				t.Fatal(err)
			}
			has, err := Parse([]string{tc.has})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, Join(Within(asked, has))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
