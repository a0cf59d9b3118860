package review

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/scope"
)

// Askable says what is wrong with a request that can have no answer but no, or about which a client cannot ask: a table
// of cases that expects nothing of it would hold for ever, whatever the policies say.
func Askable(req policy.Request) error {
	r := req.Resource
	docker := r.Type == v1alpha1.TypeRepository || r.Type == v1alpha1.TypeRegistry
	switch ours := docker || r.Type == v1alpha1.TypeNATS || r.Type == v1alpha1.TypeOAuth; {
	case r.Type == "":
		return errors.New("the type of the resource must not be empty")
	case !r.Nameable():
		return fmt.Errorf("nothing of type %s can have the name %q", r.Type, r.Name)
	case ours && r.Namespace != "":
		return fmt.Errorf("a namespace is for protected resources: what is of type %s has none", r.Type)
	case !ours && r.Namespace == "":
		return fmt.Errorf("a resource of type %s is a protected resource: its namespace must be given", r.Type)
	case docker && !readable(r, "pull"):
		return fmt.Errorf("nothing of type %s can have the name %q: no server would take it in a scope", r.Type, r.Name)
	case len(policy.Asked(req)) == 0:
		return errors.New(`actions must be given, and "*" stands for all of them only for repositories and the catalog of a registry`)
	}
	return askableActions(r, req.Actions, docker)
}

func askableActions(r policy.Resource, actions []string, docker bool) error {
	distinct := slices.Clone(actions)
	slices.Sort(distinct)
	if distinct = slices.Compact(distinct); len(distinct) > policy.MaxActions {
		return fmt.Errorf("%d actions are more than can be asked for at once: at most %d", len(distinct), policy.MaxActions)
	}
	for _, action := range actions {
		problem := policy.ActionProblem(r.Type, action)
		switch {
		case action == "":
		case problem != "":
			return fmt.Errorf("the action %q %s", action, problem)
		case docker && !readable(r, action):
			return fmt.Errorf("the action %q is none that a server would take in a scope", action)
		}
	}
	return nil
}

// readable says whether a server finds the resource and the action in a scope of Docker's protocol as they are here.
func readable(r policy.Resource, action string) bool {
	scopes, err := scope.Parse([]string{r.Type + ":" + r.Name + ":" + action})
	return err == nil && len(scopes) == 1 && scopes[0].Type == r.Type && scopes[0].Name == r.Name && slices.Equal(scopes[0].Actions, []string{action})
}
