package door

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// types are rule types of each grammar of names.
var types = []string{v1alpha1.TypeRepository, "album", v1alpha1.TypeRegistry, v1alpha1.TypeNATS, v1alpha1.TypeOAuth}

// agree demands that the schema and the compiler both accept the policy or both refuse it.
func agree(t interface{ Fatalf(string, ...any) }, tb testing.TB, d *door, p *v1alpha1.ClusterAccessPolicy, what string) {
	refused, _ := d.try(tb, p)
	_, problems := policy.CompileClusterAccessPolicy(p)
	switch {
	case len(refused) > 0 && len(problems) == 0:
		t.Fatalf("%s is refused at the door and would be accepted behind it: %v", what, refused.ToAggregate())
	case len(refused) == 0 && len(problems) > 0:
		t.Fatalf("%s comes in and is refused then: %s", what, told(problems))
	}
}

func withName(typ, name string) *v1alpha1.ClusterAccessPolicy {
	p := sound()
	p.Spec.Rules[0].Type, p.Spec.Rules[0].Names = typ, []v1alpha1.ResourceName{v1alpha1.ResourceName(name)}
	return p
}

// TestNamesAreRefusedAtTheDoor makes names from what the grammars give a meaning, and puts them together at random.
func TestNamesAreRefusedAtTheDoor(t *testing.T) {
	d := open(t, "clusteraccesspolicies")
	pieces := []string{
		"a", "b-c", "/", "/", "/", ".", "..", "*", "**", "***", ">", "$", "{", "}", "${", "${subject.username}", "${subject.namespace}",
		"${subject.serviceAccount}", "${subject.extra.k}", "${subject.extra.a/b.c/../d//e>f}", "${subject.extra.}", "${subject.nope}",
		"${subject.extra.a b}", "${subject.extra.a*}", "${subject.extra.$}", "${}", " ", "\u00a0", "\u2003", "\u0085", "é", "x/y", "*/", "**/", "a.", "*.",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "1/2/3/4/5/6/7/8/", "1.2.3.4.5.6.7.8.",
	}
	rapid.Check(t, func(rt *rapid.T) {
		typ := rapid.SampledFrom(types).Draw(rt, "type")
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 9).Draw(rt, "pieces"), "")
		agree(rt, t, d, withName(typ, name), "type "+typ+", name "+name)
	})
}

// FuzzNames is the same for whatever text there is.
func FuzzNames(f *testing.F) {
	d := open(f, "clusteraccesspolicies")
	for _, name := range []string{
		"team-a/**", "a/*/b-*", "${subject.username}/x", "${subject.extra.a/b}/**", "a.*.>", "${", "a//b", "***", "$${subject.username}", "..", "a/../b",
		"*a*b*c*d*", "a/${subject.extra.x/../y}", "$", "a.b.>.c", "\u2003",
	} {
		for i := range types {
			f.Add(uint8(i), name)
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, name string) {
		if !utf8.ValidString(name) || len(name) > 2000 {
			return // no JSON can hold it, or it is refused for its length alone
		}
		typ := types[int(i)%len(types)]
		agree(t, t, d, withName(typ, name), "type "+typ+", name "+name)
	})
}

// FuzzSubjects holds the same for who the policy speaks of.
func FuzzSubjects(f *testing.F) {
	d := open(f, "clusteraccesspolicies")
	kinds := []v1alpha1.SubjectKind{v1alpha1.SubjectUser, v1alpha1.SubjectGroup, v1alpha1.SubjectServiceAccount}
	for _, name := range []string{
		"alice", "system:", "system:anonymous", "system:authenticated", "system:serviceaccount:a:b", "system:serviceaccounts:a", "system:serviceaccounts:",
		"system:serviceaccount:a:", "system:serviceaccount::b", "system:masters", "a.b", "a..b", "A", "системный",
	} {
		for i := range kinds {
			f.Add(uint8(i), name, "team-a")
			f.Add(uint8(i), name, "")
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, name, namespace string) {
		if !utf8.ValidString(name) || !utf8.ValidString(namespace) || utf8.RuneCountInString(name) > 256 {
			return // the compiler knows no bound of a name: whoever makes callers does
		}
		p := sound()
		p.Spec.Subjects[0] = v1alpha1.Subject{Kind: kinds[int(i)%len(kinds)], Name: name, Namespace: namespace}
		agree(t, t, d, p, "subject "+name+" in namespace "+namespace)
	})
}

// shape is how a time has to be written. Go's parser takes more, such as hours of one digit and fractions of a second,
// which the schema never let in.
var shape = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$`)

// FuzzTimes holds it for one direction only: that February has no 30th day is left to the compiler.
func FuzzTimes(f *testing.F) {
	d := open(f, "clusteraccesspolicies")
	for _, text := range []string{
		"2026-01-01T00:00:00Z", "2026-12-31T23:59:59+24:00", "2026-02-30T00:00:00Z", "9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00Z",
		"2026-01-01T00:00:60Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00+00:60", "2026-01-01t00:00:00z", "2026-01-01T00:00:00.5Z",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !shape.MatchString(text) {
			return
		}
		p := sound()
		p.Spec.When = &v1alpha1.When{NotAfter: v1alpha1.DateTime(text)}
		refused, _ := d.try(t, p)
		if _, problems := policy.CompileClusterAccessPolicy(p); len(refused) > 0 && len(problems) == 0 {
			t.Fatalf("%q is refused at the door and would be accepted behind it: %v", text, refused.ToAggregate())
		}
	})
}
