package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RevokedToken names one token.
type RevokedToken struct {
	// id is the token's id: jti of a signed token, spec.id of an IssuedToken.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	ID string `json:"id,omitempty"`
}

// RevokedSubject names all tokens that a subject got until a time.
type RevokedSubject struct {
	// username is the user's name, with the provider's prefix.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Username string `json:"username,omitempty"`

	// issuedBefore is the time until which tokens are revoked. Tokens that were issued within a minute after it may be, too:
	// clocks differ.
	// +required
	IssuedBefore DateTime `json:"issuedBefore,omitempty"`

	// audience bounds the revocation to tokens for it; without one all are revoked.
	// +optional
	Audience Audience `json:"audience,omitempty"`
}

// TokenRevocationSpec says which tokens are not good any more. It never changes.
// +kubebuilder:validation:ExactlyOneOf=token;subject
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec is immutable: create another TokenRevocation"
type TokenRevocationSpec struct {
	// token is one token.
	// +optional
	Token *RevokedToken `json:"token,omitempty"`

	// subject is all tokens that a subject got until a time.
	// +optional
	Subject *RevokedSubject `json:"subject,omitempty"`

	// expires is when the last token that this speaks of could no longer be accepted anyway, and this object is collected;
	// a year after its creation if nobody says so.
	// +optional
	Expires DateTime `json:"expires,omitempty"`

	// reason is for people.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason,omitempty"`
}

// TokenRevocation takes back tokens before their time. It is in force on every server as soon as it is seen there, and
// has no status: there is nothing to be done about it.
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,shortName=trev,categories=tokenwright
// +kubebuilder:printcolumn:name="Token",type=string,JSONPath=`.spec.token.id`
// +kubebuilder:printcolumn:name="Subject",type=string,JSONPath=`.spec.subject.username`
// +kubebuilder:printcolumn:name="Issued before",type=string,JSONPath=`.spec.subject.issuedBefore`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expires`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.spec.reason`,priority=1
type TokenRevocation struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says which tokens are not good any more.
	// +required
	Spec TokenRevocationSpec `json:"spec,omitzero"`
}

// TokenRevocationList is a list of TokenRevocations.
// +kubebuilder:object:root=true
type TokenRevocationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []TokenRevocation `json:"items"`
}
