package controllers

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// aged is a resource of so many seconds after noon, as the schema would have stored it.
func aged(namespace, name string, seconds int, change ...func(*v1alpha1.ProtectedResourceSpec)) v1alpha1.ProtectedResource {
	r := album(namespace, name, "a.example.com", change...)
	r.CreationTimestamp = metav1.NewTime(noon.Add(time.Duration(seconds) * time.Second))
	return *r
}

func TestJudgeResources(t *testing.T) {
	going := aged("n", "going", 0, withID("x"))
	going.DeletionTimestamp = &metav1.Time{Time: noon}
	repository := func(s *v1alpha1.ProtectedResourceSpec) { s.Type = v1alpha1.TypeRepository }
	cases := map[string]struct {
		reason  string
		objects []v1alpha1.ProtectedResource
		unknown bool
		want    []string
	}{
		"all is well":               {"", []v1alpha1.ProtectedResource{aged("n", "r", 0)}, false, []string{"n/r"}},
		"nobody holds the audience": {"", []v1alpha1.ProtectedResource{aged("n", "r", 0)}, true, []string{"AudienceUnknown"}},
		"what does not compile":     {"it comes before what may change by itself", []v1alpha1.ProtectedResource{aged("n", "r", 0, repository)}, true, []string{"ReservedType"}},
		"an id": {"not one that is younger, and not one of a namespace that is not admitted", []v1alpha1.ProtectedResource{
			aged("n", "young", 2, withID("x")), aged("n", "old", 1, withID("x")), aged("out", "oldest", 0, withID("x")),
		}, false, []string{"IDTaken", "x", "NotAdmitted"}},
		"an id of one that is being deleted": {"", []v1alpha1.ProtectedResource{going, aged("n", "next", 2, withID("x"))}, false, []string{"Deleting", "x"}},
		"an id of one that does not compile": {"", []v1alpha1.ProtectedResource{
			aged("n", "broken", 0, withID("x"), repository), aged("n", "next", 2, withID("x")),
		}, false, []string{"ReservedType", "x"}},
		"a uri": {"it is served without", []v1alpha1.ProtectedResource{
			aged("n", "old", 0, withURIs("/a/{b}")), aged("n", "young", 1, withURIs("/a/{c}", "/d")),
		}, false, []string{"n/old", "n/young URITaken"}},
		"a uri of one that is not served": {"it holds none", []v1alpha1.ProtectedResource{
			aged("n", "old", 0, withID("x")), aged("n", "taken", 1, withID("x"), withURIs("/a")), aged("n", "young", 2, withURIs("/a")),
		}, false, []string{"x", "IDTaken", "n/young"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, j := range judgeResources(metav1.NewTime(noon), c.objects, !c.unknown, map[string]bool{"n": true}) {
				said := j.id
				for _, p := range j.problems[:min(1, len(j.problems))] {
					if said != "" {
						said += " "
					}
					said += p.Reason
				}
				got = append(got, said)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestResourceConditions(t *testing.T) {
	problem := func(reason string) []policy.Problem {
		return []policy.Problem{{Reason: reason, Path: "spec.f", Message: "must not be so"}}
	}
	cases := map[string]struct {
		reason string
		judged judgedResource
		want   map[string]said
	}{
		"nothing is wrong":         {"", judgedResource{id: "x"}, inForce},
		"a person has to help":     {"", judgedResource{problems: problem("NotAdmitted")}, broken("NotAdmitted")},
		"the audience is to come":  {"in the same apply, perhaps", judgedResource{problems: problem("AudienceUnknown")}, unknownAudience},
		"served without a uri":     {"it does not do all that its spec says", judgedResource{id: "x", problems: problem("URITaken")}, servedInPart},
		"the resource will not be": {"", judgedResource{problems: problem("Deleting")}, map[string]said{"Accepted": {"False", "Deleting"}, "Ready": {"False", "Deleting"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			conditions := nextConditions(metav1.NewTime(noon), 1, nil, resourceConditions(c.judged)...)
			if diff := cmp.Diff(c.want, conditionsOf(conditions)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			for _, got := range conditions {
				if len(c.judged.problems) > 0 && got.Status != metav1.ConditionTrue && got.Message != "spec.f: must not be so" {
					t.Errorf("the message of %s is %q", got.Type, got.Message)
				}
			}
		})
	}
}

func TestResourcesAreHeldWithoutWhatMakesNoDifference(t *testing.T) {
	r := album("n", "r", "a.example.com")
	r.Annotations, r.Spec.Attributes = map[string]string{"a": "b"}, []v1alpha1.ResourceAttribute{{Key: "k", Values: []string{"v"}}}
	bad := r.DeepCopy()
	bad.Spec.Attributes[0].Key = ""
	for object, kept := range map[*v1alpha1.ProtectedResource]int{r: 0, bad: 1} {
		before := judgeResources(metav1.NewTime(noon), []v1alpha1.ProtectedResource{*object.DeepCopy()}, true, map[string]bool{"n": true})
		if _, err := trimResource(object); err != nil || len(object.Spec.Attributes) != kept || object.Annotations != nil {
			t.Errorf("held: %+v, %v", object, err)
		}
		after := judgeResources(metav1.NewTime(noon), []v1alpha1.ProtectedResource{*object}, true, map[string]bool{"n": true})
		if diff := cmp.Diff(before, after, cmp.AllowUnexported(judgedResource{})); diff != "" {
			t.Errorf("it makes a difference (-before +after):\n%s", diff)
		}
	}
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}}}
	if _, err := onlyLabels(n); err != nil || n.Annotations != nil || n.Labels["a"] != "b" || n.Name != "n" {
		t.Errorf("held: %+v, %v", n, err)
	}
}

// BenchmarkJudgeResources is what one look at an audience costs, whoever of it has changed.
func BenchmarkJudgeResources(b *testing.B) {
	for name, uri := range map[string]func(int) v1alpha1.ResourceURI{
		"each its own uri": func(i int) v1alpha1.ResourceURI { return v1alpha1.ResourceURI(fmt.Sprintf("/albums/%d", i)) },
		"one uri for all":  func(int) v1alpha1.ResourceURI { return "/albums" },
	} {
		b.Run(name, func(b *testing.B) {
			objects := make([]v1alpha1.ProtectedResource, 10_000)
			for i := range objects {
				objects[i] = aged("n", fmt.Sprintf("r%d", i), i, withURIs(uri(i)))
			}
			b.ReportAllocs()
			for b.Loop() {
				if n := len(judgeResources(metav1.NewTime(noon), objects, true, map[string]bool{"n": true})); n != len(objects) {
					b.Fatal(n)
				}
			}
		})
	}
}
