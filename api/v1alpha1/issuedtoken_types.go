package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IssuedTokenType says what kind of token a record stands for.
// +kubebuilder:validation:Enum=RefreshToken;AccessToken
type IssuedTokenType string

// The types of recorded tokens. Access tokens that expire are not recorded.
const (
	// RefreshToken is an opaque string that a caller exchanges for access tokens.
	RefreshToken IssuedTokenType = "RefreshToken"
	// AccessToken is a signed token without an expiry of its own: it is good as long as its record.
	AccessToken IssuedTokenType = "AccessToken"
)

// RecordedExtra is one key of what a provider says of a caller beside name and groups.
type RecordedExtra struct {
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

// RecordedSubject is a caller as it was authenticated when the token was issued.
type RecordedSubject struct {
	// username is the user's name, with the provider's prefix.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Username string `json:"username,omitempty"`

	// uid is the provider's own id of the user.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	UID string `json:"uid,omitempty"`

	// groups are the user's groups, with the provider's prefix.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Groups []string `json:"groups,omitempty"`

	// extra are further facts, such as claims of the token that proved the caller.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=32
	Extra []RecordedExtra `json:"extra,omitempty"`
}

// RecordedProvider is who vouched for the caller. Another IdentityProvider of the same name vouches for nobody of the
// first: the uid says which one it was.
type RecordedProvider struct {
	// name is the IdentityProvider's name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// uid is the IdentityProvider's uid.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`
}

// IssuedTokenSpec is what was issued to whom. It never changes, and holds nothing that could be used as a token.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec is immutable: revoke the token, and have another issued"
// +kubebuilder:validation:XValidation:rule="self.type != 'RefreshToken' || has(self.secretHash)",message="secretHash must be given for a RefreshToken",reason=FieldValueRequired,fieldPath=".secretHash"
// +kubebuilder:validation:XValidation:rule="self.type == 'RefreshToken' || !has(self.secretHash)",message="secretHash may only be given for a RefreshToken",reason=FieldValueForbidden,fieldPath=".secretHash"
// +kubebuilder:validation:XValidation:rule="self.type != 'AccessToken' || has(self.keyThumbprint)",message="keyThumbprint must be given for an AccessToken",reason=FieldValueRequired,fieldPath=".keyThumbprint"
// +kubebuilder:validation:XValidation:rule="self.type == 'AccessToken' || !has(self.keyThumbprint)",message="keyThumbprint may only be given for an AccessToken",reason=FieldValueForbidden,fieldPath=".keyThumbprint"
type IssuedTokenSpec struct {
	// type is RefreshToken or AccessToken.
	// +required
	Type IssuedTokenType `json:"type,omitempty"`

	// id is the token's id (jti, RFC 7519): the name of this object without "token-", and 128 random bits. Of tokens of the
	// Provide Ident API it is a UUID that begins with the two numbers of the name, in five and six digits. A TokenRevocation
	// names it.
	// +required
	// +kubebuilder:validation:MinLength=30
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^((0|[1-9][0-9]{0,4})-(0|[1-9][0-9]{0,5})-[a-z2-7]{26}|[0-9]{8}-[0-9]{3}[0-9a-f]-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})$`
	ID string `json:"id,omitempty"`

	// subject is who got the token.
	// +required
	Subject RecordedSubject `json:"subject,omitzero"`

	// provider is the IdentityProvider that vouched for the subject.
	// +required
	Provider RecordedProvider `json:"provider,omitzero"`

	// credential is a keyed digest of the password entry that the subject was proved by: a changed password ends the token.
	// +optional
	// +kubebuilder:validation:MinLength=43
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-]{43}$`
	Credential string `json:"credential,omitempty"`

	// authTime is when the subject was proved.
	// +required
	AuthTime DateTime `json:"authTime,omitempty"`

	// audience is what the token is for.
	// +required
	Audience Audience `json:"audience,omitempty"`

	// clientID is the client that asked, as it called itself.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ClientID string `json:"clientID,omitempty"`

	// secretHash is SHA-256 of the refresh token's 256 random bits, in base64url.
	// +optional
	// +kubebuilder:validation:MinLength=43
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-]{43}$`
	SecretHash string `json:"secretHash,omitempty"`

	// keyThumbprint is that of the key that signed the access token (RFC 7638). It stays published as long as this object.
	// +optional
	// +kubebuilder:validation:MinLength=43
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-]{43}$`
	KeyThumbprint string `json:"keyThumbprint,omitempty"`

	// expires is when the token stops to be good, and this object is collected.
	// +required
	Expires DateTime `json:"expires,omitempty"`
}

// IssuedTokenStatus is what happened to a token since.
type IssuedTokenStatus struct {
	// lastUsed is when the token was used, true to an hour.
	// +optional
	LastUsed DateTime `json:"lastUsed,omitempty"`
}

// IssuedToken is the record of a token that lives longer than a day. Servers write it; to end the token before its time,
// create a TokenRevocation. Whoever may create IssuedTokens can give himself anybody's rights.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=itok,categories=tokenwright
// +kubebuilder:selectablefield:JSONPath=`.spec.subject.username`
// +kubebuilder:selectablefield:JSONPath=`.spec.keyThumbprint`
// +kubebuilder:printcolumn:name="Subject",type=string,JSONPath=`.spec.subject.username`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expires`
// +kubebuilder:printcolumn:name="Last used",type=date,JSONPath=`.status.lastUsed`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="ID",type=string,JSONPath=`.spec.id`,priority=1
// +kubebuilder:printcolumn:name="Audience",type=string,JSONPath=`.spec.audience`,priority=1
// +kubebuilder:printcolumn:name="Client",type=string,JSONPath=`.spec.clientID`,priority=1
// +kubebuilder:validation:XValidation:rule="self.metadata.name == 'token' + (self.spec.id.matches('^[0-9]{8}-') ? ('-' + self.spec.id.substring(0, 5) + '_' + self.spec.id.substring(5, 8) + self.spec.id.substring(9, 12)).replace('-0', '-').replace('-0', '-').replace('-0', '-').replace('-0', '-').replace('_0', '_').replace('_0', '_').replace('_0', '_').replace('_0', '_').replace('_0', '_').replace('_', '-') : '-' + self.spec.id.substring(0, self.spec.id.lastIndexOf('-')))",message="metadata.name must be \"token-\" and the place in spec.id, without its random part"
type IssuedToken struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what was issued to whom.
	// +required
	Spec IssuedTokenSpec `json:"spec,omitzero"`

	// status is what happened since.
	// +optional
	Status IssuedTokenStatus `json:"status,omitzero"`
}

// IssuedTokenList is a list of IssuedTokens.
// +kubebuilder:object:root=true
type IssuedTokenList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []IssuedToken `json:"items"`
}
