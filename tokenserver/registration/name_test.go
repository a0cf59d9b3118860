package registration

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// TestNames holds every name to what objects and labels can be called, and different things to different names.
func TestNames(t *testing.T) {
	long := strings.Repeat("Ärger mit Leerzeichen ", 12)
	names := map[string]string{}
	for _, of := range [][3]string{
		{"a", "b", "Order 7"}, {"a", "c", "Order 7"}, {"b", "b", "Order 7"}, {"a", "b", "order 7"}, {"a", "b", "--"}, {"a", "b", "日本"}, {"a", "b", long},
		{"a", "b", long + "!"}, {"ab", "", "Order 7"}, {"", "ab", "Order 7"},
	} {
		name := ResourceName(of[0], of[1], of[2])
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			t.Errorf("%q: %v", name, problems)
		}
		if before, taken := names[name]; taken {
			t.Errorf("%v and %s have one name, %s", of, before, name)
		}
		names[name] = strings.Join(of[:], "|")
	}
	if got := ResourceName("a", "b", "Order 7"); !strings.HasPrefix(got, "order-7-") {
		t.Errorf("got %s", got)
	}
	scopes := func(list ...v1alpha1.ResourceScope) []v1alpha1.ResourceScope { return list }
	one := RequestName("uid", "bob", scopes("view", "edit"))
	if one != RequestName("uid", "bob", scopes("edit", "view", "view")) || len(one) != len("preq-")+26 {
		t.Errorf("the order makes another of %s", one)
	}
	for _, other := range []string{RequestName("uid", "bob", scopes("view")), RequestName("uid", "bobedit", scopes("view")), RequestName("uidbob", "", scopes("edit", "view"))} {
		if other == one {
			t.Errorf("another has the name %s", one)
		}
	}
	for _, account := range []string{"rs", strings.Repeat("a", 63), strings.Repeat("a", 253)} {
		if problems := validation.IsValidLabelValue(Registrant(account)); len(problems) > 0 {
			t.Errorf("%s: %v", account, problems)
		}
	}
}
