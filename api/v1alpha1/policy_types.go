package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Effect says whether a policy grants or takes away.
// +kubebuilder:validation:Enum=Allow;Deny
type Effect string

// The effects of a policy.
const (
	EffectAllow Effect = "Allow"
	EffectDeny  Effect = "Deny"
)

// Types of rules that Tokenwright itself gives a meaning; every other type is one of ProtectedResources.
const (
	TypeRepository = "repository"
	TypeRegistry   = "registry"
	TypeNATS       = "nats"
	TypeOAuth      = "oauth"
)

// ResourceName matches resources by name. Names of repositories are split at "/": "*" matches within one segment, "**"
// alone in a segment matches any number of segments, and ${subject.username}, ${subject.namespace},
// ${subject.serviceAccount} and ${subject.extra.KEY} stand for the caller's own values.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
// +kubebuilder:validation:XValidation:rule="!self.contains('${') || self.matches(r'^([^$]|[$]+([^{$]|[{]subject[.](username|namespace|serviceAccount|extra[.][^${*}]+)[}]))*[$]*$')",message="variables in a name must be ${subject.username}, ${subject.namespace}, ${subject.serviceAccount} or ${subject.extra.KEY}, and closed by }"
// +kubebuilder:validation:XValidation:rule="!self.contains('**') || !self.matches(r'[^/][*][*]|[*][*][^/]')",message="** in a name must be a segment of its own"
// +kubebuilder:validation:XValidation:rule="!self.contains('*') || !self.matches(r'([*]{1,2}[^*]+){4}[*]')",message="a name must have at most 4 stars, of which ** counts as one"
type ResourceName string

// Action is what may be done, such as pull or push; "*" stands for every action that is asked for.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:Pattern=`^(\*|[A-Za-z0-9][A-Za-z0-9._:/-]*)$`
type Action string

// Rule names resources of one type and what may be done with them.
// +kubebuilder:validation:XValidation:rule="self.type != 'nats' || self.actions.all(a, a in ['publish', 'subscribe', '*'])",message="actions of type nats must be publish, subscribe or *",fieldPath=".actions"
// +kubebuilder:validation:XValidation:rule="self.type != 'oauth' || self.actions.all(a, a in ['introspect', 'exchange', 'revoke', 'list', 'uma_protection', 'register_for_others', '*'])",message="actions of type oauth must be introspect, exchange, revoke, list, uma_protection, register_for_others or *",fieldPath=".actions"
// +kubebuilder:validation:XValidation:rule="self.type != 'repository' || self.names.all(n, ('/' + n).matches(r'^(/([.]{0,2}([$][{][^}]*[}]|[^/.])|[.]{3})([$][{][^}]*[}]|[^/])*){1,16}$'))",message="names of type repository must be 1 to 16 segments with a slash between them, none of which is empty, . or ..",fieldPath=".names"
// +kubebuilder:validation:XValidation:rule="self.type in ['repository', 'nats', 'oauth'] || self.names.all(n, ('/' + n).matches(r'^(/([$][{][^}]*[}]|[^/])+){1,16}$'))",message="names must be 1 to 16 segments with a slash between them, none of which is empty",fieldPath=".names"
// +kubebuilder:validation:XValidation:rule="self.type != 'nats' || self.names.all(n, ('.' + n).matches(r'^([.]([*]|([$][{][^}]*[}]|[^.*>\\x{85}\\p{Z}])+)){0,15}[.](>|[*]|([$][{][^}]*[}]|[^.*>\\x{85}\\p{Z}])+)$') && !n.matches(r'([*][^*]*){4}[.]>$'))",message="names of type nats must be 1 to 16 tokens with a dot between them, none of which is empty or has white space; * and > must be whole tokens, at most 4 together, and > the last",fieldPath=".names"
// +kubebuilder:validation:XValidation:rule="self.type != 'oauth' || self.names.all(n, !n.contains('**'))",message="names of type oauth must not have **: * matches any run of characters",fieldPath=".names"
// +structType=atomic
type Rule struct {
	// type is repository, registry, nats, oauth, or the type of ProtectedResources.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9._:/-]*[A-Za-z0-9])?$`
	Type string `json:"type,omitempty"`

	// names match the resources; one match is enough.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Names []ResourceName `json:"names,omitempty"`

	// actions are what is granted or denied; "*" stands for every action that is asked for.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Actions []Action `json:"actions,omitempty"`
}

// When restricts a policy: all that is given must hold.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.notBefore) || !has(self.notAfter) || timestamp(self.notBefore) < timestamp(self.notAfter)",message="notAfter must be later than notBefore",fieldPath=".notAfter"
type When struct {
	// sourceRanges are CIDR ranges; the caller's address must lie in one. An unknown address lies in none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	SourceRanges []CIDR `json:"sourceRanges,omitempty"`

	// notBefore is the time from which on the policy holds.
	// +optional
	NotBefore DateTime `json:"notBefore,omitempty"`

	// notAfter is the time until which the policy holds; no token that it grants lives longer.
	// +optional
	NotAfter DateTime `json:"notAfter,omitempty"`

	// expression is CEL that yields a bool. Variables: subject, resource, action, audience, request.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Expression string `json:"expression,omitempty"`
}

// CIDR is a range of IP addresses such as 10.0.0.0/8 or fd00::/8.
// +kubebuilder:validation:MinLength=4
// +kubebuilder:validation:MaxLength=43
// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="must be a range of addresses such as 10.0.0.0/8 or fd00::/8"
type CIDR string

// PolicySpec is what AccessPolicy and ClusterAccessPolicy have in common.
type PolicySpec struct {
	// effect is Allow or Deny.
	// +optional
	// +kubebuilder:default=Allow
	Effect Effect `json:"effect,omitempty"`

	// subjects are who the policy speaks of; one match is enough.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Subjects []Subject `json:"subjects,omitempty"`

	// audiences are what the tokens may be for. Empty means every audience; of an AccessPolicy, every one whose
	// SigningKey admits the policy's namespace.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	Audiences []Audience `json:"audiences,omitempty"`

	// rules are what is granted or denied.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Rules []Rule `json:"rules,omitempty"`

	// when restricts the policy; all that is given must hold.
	// +optional
	When *When `json:"when,omitempty"`
}

// PolicyStatus is what the manager found out about a policy.
type PolicyStatus struct {
	// conditions are Accepted, Ready, and Stalled while a person has to help. A ClusterAccessPolicy has Warning while
	// another may give a caller another value for one of its claims.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('0001-01-01T00:00:00Z'))",message="lastTransitionTime must be an RFC 3339 time in upper case"
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the conditions speak of; -1 before the first.
	// +optional
	// +kubebuilder:default=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}
