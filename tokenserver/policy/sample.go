package policy

import (
	"cmp"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy/name"
)

// sampleWord stands for whatever a policy leaves open.
const sampleWord = "x"

// catalog is what registries have of type registry.
const catalog = "catalog"

// Samples are requests that the policy is about: one for each subject and each name, with all actions of its rule, from an
// address of its ranges. Where the policy leaves open who or what it is, it is called "x". The audience is empty where the
// policy speaks of all; the time is left to be filled in. At most so many are returned.
func (p *Policy) Samples(most int) []Request {
	var samples []Request
	for _, who := range p.subjects {
		for i := range p.rules {
			for j := range p.rules[i].names {
				for _, audience := range audiencesOr(p.audiences, "") {
					if len(samples) >= most {
						return samples
					}
					if req, ok := p.sample(who, &p.rules[i], &p.rules[i].names[j]); ok {
						req.Audience = audience
						samples = append(samples, req)
					}
				}
			}
		}
	}
	return samples
}

func audiencesOr(audiences []string, all string) []string {
	if len(audiences) == 0 {
		return []string{all}
	}
	return audiences
}

func (p *Policy) sample(who principal, r *rule, n *pattern) (Request, bool) {
	req := Request{Caller: who.sample(), Resource: Resource{Type: cmp.Or(r.typ, v1alpha1.TypeRepository)}}
	if keys := n.ExtraKeys(); len(keys) > 0 && !who.anonymous() {
		req.Caller.Extra = map[string][]string{}
		for _, key := range keys {
			req.Caller.Extra[key] = []string{sampleWord}
		}
	}
	values := name.Values{Username: req.Caller.Username, Extra: req.Caller.Extra}
	values.Namespace, values.ServiceAccount = req.Caller.ServiceAccount()
	text, ok := n.Sample(&values)
	if !ok {
		return Request{}, false
	}
	req.Resource.Name = text
	if r.typ == v1alpha1.TypeRegistry && n.Match(catalog, []string{catalog}, &values, false) {
		req.Resource.Name = catalog // there is nothing else
	}
	if p.ref.Kind != KindClusterAccessPolicy {
		if req.Resource.Type == v1alpha1.TypeRepository {
			req.Resource.Name = p.ref.Namespace + "/" + text
		} else {
			req.Resource.Namespace = p.ref.Namespace
		}
	}
	req.Actions = r.sampleActions(req.Resource.Name)
	if p.when != nil && len(p.when.ranges) > 0 {
		req.SourceIP = p.when.ranges[0].Addr()
	}
	return req, req.Resource.Nameable()
}

// sample is a caller who is that principal.
func (p principal) sample() caller.Caller {
	c := p.caller()
	if c.Username != "" {
		return c
	}
	c.Username = sampleWord
	namespace, account := strings.CutPrefix(p.name, caller.GroupServiceAccounts+":")
	switch {
	case p.kind == group && account:
		c.Username = caller.ServiceAccountUser(namespace, sampleWord)
	case p.kind == group && p.name == caller.GroupServiceAccounts:
		c.Username, c.Groups = caller.ServiceAccountUser(sampleWord, sampleWord), caller.ServiceAccountGroups(sampleWord)
	case p.kind == everyone:
		c.Groups, c.Method = []string{caller.GroupAuthenticated}, caller.MethodPassword
	}
	return c
}

// sampleActions are the rule's, and for all of them those that its type has.
func (r *rule) sampleActions(resource string) []string {
	switch {
	case r.actions != nil:
		return r.actions
	case r.typ == v1alpha1.TypeRepository, r.typ == "", r.typ == v1alpha1.TypeRegistry && resource == catalog:
		return []string{actionAll}
	case r.typ == v1alpha1.TypeNATS:
		return []string{"publish", "subscribe"}
	case r.typ == v1alpha1.TypeOAuth:
		return []string{"exchange", "introspect", "list", "register_for_others", "revoke", "uma_protection"}
	}
	return []string{sampleWord}
}
