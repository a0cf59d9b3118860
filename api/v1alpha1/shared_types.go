package v1alpha1

import (
	"fmt"
	"time"
)

// Duration is a length of time such as "15m" or "1h30m": up to three numbers of up to five digits, each with the unit
// h, m or s. It is a string because a value that the schema accepts and time.Duration does not ("90d") would stop every
// informer of the kind.
// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s)){1,3}$`
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=18
type Duration string

// Parse returns the duration, or an error that says what was expected.
func (d Duration) Parse() (time.Duration, error) {
	v, err := time.ParseDuration(string(d))
	if err != nil || v < 0 {
		return 0, fmt.Errorf("%q is not a duration: expected numbers with the units h, m or s, such as 15m or 1h30m", string(d))
	}
	return v, nil
}

// DateTime is an RFC 3339 time such as "2026-01-01T00:00:00Z", in upper case. It is a string for the same reason as
// Duration: the schema's own date-time format accepts spellings that Go's decoder refuses.
// +kubebuilder:validation:Pattern=`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-][0-9]{2}:[0-9]{2})$`
// +kubebuilder:validation:MinLength=20
// +kubebuilder:validation:MaxLength=25
type DateTime string

// NewDateTime writes a time down: in UTC, and in whole seconds, of which what is left over is dropped. The zero time is no
// time, and makes the empty DateTime, which leaves its field out.
func NewDateTime(t time.Time) DateTime {
	if t.IsZero() {
		return ""
	}
	return DateTime(t.UTC().Format(time.RFC3339))
}

// Parse returns the time, or an error that says what was expected.
func (t DateTime) Parse() (time.Time, error) {
	v, err := time.Parse(time.RFC3339, string(t))
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time: expected RFC 3339, such as 2026-01-01T00:00:00Z", string(t))
	}
	return v, nil
}

// Audience names what a token is for: the `service` of a registry, the `aud` of a token.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^[!-~]([ -~]*[!-~])?$`
type Audience string

// SubjectKind says what a Subject names.
// +kubebuilder:validation:Enum=User;Group;ServiceAccount
type SubjectKind string

// The kinds of Subject, as in RBAC.
const (
	SubjectUser           SubjectKind = "User"
	SubjectGroup          SubjectKind = "Group"
	SubjectServiceAccount SubjectKind = "ServiceAccount"
)

// Subject names a user, a group or a ServiceAccount, in the shape of RBAC's subjects. The groups system:authenticated,
// system:unauthenticated, system:serviceaccounts and system:serviceaccounts:<namespace> mean what they mean in RBAC.
// +kubebuilder:validation:XValidation:rule="self.kind != 'ServiceAccount' || has(self.namespace)",message="namespace must be given for a ServiceAccount",reason=FieldValueRequired,fieldPath=".namespace"
// +kubebuilder:validation:XValidation:rule="self.kind == 'ServiceAccount' || !has(self.namespace)",message="namespace may only be given for a ServiceAccount",reason=FieldValueForbidden,fieldPath=".namespace"
// +kubebuilder:validation:XValidation:rule="self.kind != 'User' || !self.name.startsWith('system:') || self.name == 'system:anonymous' || self.name.matches(r'^system:serviceaccount:[^:]+:[^:]+$')",message="a user with system: must be system:anonymous or system:serviceaccount:<namespace>:<name>: nobody has another",fieldPath=".name"
// +kubebuilder:validation:XValidation:rule="self.kind != 'Group' || !self.name.startsWith('system:') || self.name in ['system:authenticated', 'system:unauthenticated', 'system:serviceaccounts'] || self.name.matches(r'^system:serviceaccounts:[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",message="a group with system: must be system:authenticated, system:unauthenticated, system:serviceaccounts or system:serviceaccounts:<namespace>: nobody is in another",fieldPath=".name"
// +kubebuilder:validation:XValidation:rule="self.kind != 'ServiceAccount' || size(self.name) <= 253 && self.name.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="name must be that of a ServiceAccount: lower case letters, digits, - and .",fieldPath=".name"
// +structType=atomic
type Subject struct {
	// kind is User, Group or ServiceAccount.
	// +required
	Kind SubjectKind `json:"kind,omitempty"`

	// name is the user's or group's name with its provider's prefix, or the name of the ServiceAccount.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name,omitempty"`

	// namespace is the ServiceAccount's namespace; it may not be given for users and groups.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace,omitempty"`
}
