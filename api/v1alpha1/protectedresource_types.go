package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ResourceScope is something that can be done with a ProtectedResource, such as view.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9._:/-]*$`
type ResourceScope string

// ResourceURI is a path of a resource server, such as /albums/7, or an absolute URI. {name} in the place of a segment stands for
// any one segment, and /* at the end for the path before it and all that is below. What a placeholder is called makes no
// difference to whose a uri is.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:Pattern=`^(https?://[^/{}*\x00-\x20\x7f?#]+)?(/([^/{}\x00-\x20\x7f?#]*|\{[A-Za-z0-9._-]+\}))+$`
// +kubebuilder:validation:XValidation:rule="!self.contains('*') || (self.endsWith('/*') && self.indexOf('*') == size(self) - 1)",message="* in a uri must be the last segment"
// +kubebuilder:validation:XValidation:rule="!self.matches('/[.][.]?(/|$)')",message="a uri must not have the segment . or .."
// +kubebuilder:validation:XValidation:rule="!self.contains('{') || (size(self.split('{')) <= 5 && size(self.split('/')) <= 17)",message="a uri must not have more than 4 placeholders, and with them not more than 16 slashes"
type ResourceURI string

// ResourceAttribute is one fact about a resource, for the resource server and its clients.
type ResourceAttribute struct {
	// key is the name of the fact.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Key string `json:"key,omitempty"`

	// values are what it says.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=1024
	Values []string `json:"values,omitempty"`
}

// ProtectedResourceSpec says what a resource server protects, and what can be done with it.
// +kubebuilder:validation:XValidation:rule="has(self.id) == has(oldSelf.id) && (!has(self.id) || self.id == oldSelf.id)",message="id is immutable: create another ProtectedResource",fieldPath=".id"
// +kubebuilder:validation:XValidation:rule="has(self.displayName) == has(oldSelf.displayName) && (!has(self.displayName) || self.displayName == oldSelf.displayName)",message="displayName is immutable: create another ProtectedResource",fieldPath=".displayName"
// +kubebuilder:validation:XValidation:rule="self.audience == oldSelf.audience",message="audience is immutable: create another ProtectedResource",fieldPath=".audience"
type ProtectedResourceSpec struct {
	// id is what clients and resource servers call the resource (_id of UMA); <namespace>/<name> when absent. It never
	// changes. Of two resources of one audience with the same id the older keeps it, and a displayName of another namespace's
	// older resource is no id of this one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9._~-]*$`
	ID string `json:"id,omitempty"`

	// displayName is what people call the resource, and clients may; metadata.name when absent. It never changes. Clients find
	// the oldest of a name, and none by what is the id or name of another namespace's older resource.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	DisplayName string `json:"displayName,omitempty"`

	// type is what rules of policies name the resource by, beside its metadata.name. It must not be one that Tokenwright gives
	// a meaning of its own.
	// +optional
	// +kubebuilder:default=resource
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9._:/-]*[A-Za-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="!(self in ['repository', 'registry', 'nats', 'oauth'])",message="type must not be repository, registry, nats or oauth: those have a meaning of their own"
	Type string `json:"type,omitempty"`

	// uris are where the resource server has the resource. Of all claims of an audience that fit a path the namespace of the oldest
	// has it, and its most specific one counts. The age of a claim is that in status.uris. A namespace has at most 256 with {name}
	// or /* at an audience.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	URIs []ResourceURI `json:"uris,omitempty"`

	// scopes are what can be done with the resource: the actions of the policies' rules.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Scopes []ResourceScope `json:"scopes,omitempty"`

	// owner is the user whose resource it is, with the provider's prefix; nobody's when absent. A ServiceAccount is
	// system:serviceaccount:<namespace>:<name>.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('system:') || self.matches('^system:serviceaccount:[a-z0-9]([-a-z0-9]*[a-z0-9])?:[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="owner must not start with system: unless it is a ServiceAccount's user name"
	Owner string `json:"owner,omitempty"`

	// ownerManagedAccess says whether the owner has every scope, and may approve PermissionRequests of others.
	// +optional
	// +kubebuilder:default=Forbidden
	OwnerManagedAccess Permission `json:"ownerManagedAccess,omitempty"`

	// audience is the resource server. Its SigningKey must admit the namespace. It never changes.
	// +required
	Audience Audience `json:"audience,omitempty"`

	// attributes are further facts, for the resource server and its clients. Every server has all of them in memory, which is
	// why there is a bound for all of them together.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:rule="self.map(a, size(a.key) + (has(a.values) ? a.values.map(v, size(v)).sum() : 0)).sum() <= 8192",message="must have at most 8192 characters in all, keys and values together"
	Attributes []ResourceAttribute `json:"attributes,omitempty"`
}

// ProtectedResourceStatus is what the manager found out about a resource.
type ProtectedResourceStatus struct {
	// conditions are Accepted, Ready, and Stalled while a person has to help.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('0001-01-01T00:00:00Z'))",message="lastTransitionTime must be an RFC 3339 time in upper case"
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the conditions speak of; -1 before the first time.
	// +optional
	// +kubebuilder:default=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// id is the resource's id.
	// +optional
	// +kubebuilder:validation:MaxLength=320
	ID string `json:"id,omitempty"`

	// uris are those of the spec that are claimed, and since when. The manager writes down when it first sees one at a resource
	// that is served, keeps that while the spec has the uri, and drops it with it. Servers serve no other.
	// +optional
	// +listType=map
	// +listMapKey=uri
	// +kubebuilder:validation:MaxItems=32
	URIs []ClaimedURI `json:"uris,omitempty"`
}

// ClaimedURI says since when a resource claims a uri: of two claims the older holds.
type ClaimedURI struct {
	// uri is one of spec.uris.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	URI string `json:"uri,omitempty"`

	// since is when it was first seen there.
	// +required
	Since DateTime `json:"since,omitempty"`
}

// ProtectedResource is something that a resource server lets others use by what policies say (UMA 2.0). It is declared with
// kubectl, or registered by the resource server itself.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=pres,categories=tokenwright
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Audience",type=string,JSONPath=`.spec.audience`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Owner",type=string,JSONPath=`.spec.owner`,priority=1
// +kubebuilder:printcolumn:name="ID",type=string,JSONPath=`.status.id`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type ProtectedResource struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says what is protected.
	// +required
	Spec ProtectedResourceSpec `json:"spec,omitzero"`

	// status is what the manager found out.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ProtectedResourceStatus `json:"status,omitzero"`
}

// ProtectedResourceList is a list of ProtectedResources.
// +kubebuilder:object:root=true
type ProtectedResourceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []ProtectedResource `json:"items"`
}
