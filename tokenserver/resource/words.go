package resource

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// words are the ids that resources of an audience give themselves, and the names of all: clients may say either, so that both are
// one space of claims. A word is of the namespace that claimed it first. The ids that nobody chose are apart from it: no other
// namespace can have one, neither as an id nor as a name.
type words map[string]word

type word struct {
	namespace string
	// named is the oldest resource of the namespace that is called so; it may be none.
	named *Resource
}

// add takes in a resource that is younger than all that are there. It says whether it may have its id; if not, nothing of it
// counts.
func (w words) add(r *Resource) bool {
	if r.choseID() {
		if w.foreign(r.ID, r.Namespace) {
			return false
		}
		w.claim(r.ID, r.Namespace)
	}
	if w.foreign(r.Name, r.Namespace) {
		return true
	}
	if held := w.claim(r.Name, r.Namespace); held.named == nil {
		held.named = r
		w[r.Name] = held
	}
	return true
}

func (w words) claim(text, namespace string) word {
	held, found := w[text]
	if !found {
		held.namespace = namespace
		w[text] = held
	}
	return held
}

// foreign says whether the text is another namespace's.
func (w words) foreign(text, namespace string) bool {
	if held, found := w[text]; found {
		return held.namespace != namespace
	}
	return defaultIDElsewhere(text, namespace)
}

// choseID says whether the id is one that the resource gave itself. Only an id that is not given has a slash.
func (r *Resource) choseID() bool { return !strings.Contains(r.ID, "/") }

// defaultIDElsewhere says whether a text is what resources of another namespace are called if they choose no id, be there such a
// resource or not: it may come, or come back, and must not be another's until then.
func defaultIDElsewhere(text, namespace string) bool {
	owner, name, found := strings.Cut(text, "/")
	return found && owner != namespace && len(validation.IsDNS1123Label(owner)) == 0 && len(validation.IsDNS1123Subdomain(name)) == 0
}
