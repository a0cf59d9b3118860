package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Algorithm is a JWS signature algorithm (RFC 7518, RFC 8037).
// +kubebuilder:validation:Enum=ES256;ES384;ES512;EdDSA;RS256;RS384;RS512;PS256;PS384;PS512
type Algorithm string

// The algorithms that a SigningKey can sign with.
const (
	ES256 Algorithm = "ES256"
	ES384 Algorithm = "ES384"
	ES512 Algorithm = "ES512"
	EdDSA Algorithm = "EdDSA"
	RS256 Algorithm = "RS256"
	RS384 Algorithm = "RS384"
	RS512 Algorithm = "RS512"
	PS256 Algorithm = "PS256"
	PS384 Algorithm = "PS384"
	PS512 Algorithm = "PS512"
)

// KeyIdentification says what the header of a token tells about its key.
// +kubebuilder:validation:Enum=X509Chain;KeyID
type KeyIdentification string

// The ways of KeyIdentification.
const (
	// X509Chain puts the key's certificate (x5c) and the kid into the header: registries that read their trust once
	// at start accept new keys under the same certificate authority.
	X509Chain KeyIdentification = "X509Chain"
	// KeyID puts only the kid into the header: for verifiers that read the JWKS.
	KeyID KeyIdentification = "KeyID"
)

// KeyIDFormat says how the kid is computed from the public key.
// +kubebuilder:validation:Enum=Thumbprint;LibTrust;SSHFingerprintMD5
type KeyIDFormat string

// The formats of a kid.
const (
	// Thumbprint is RFC 7638 with SHA-256: what registry 3.x computes.
	Thumbprint KeyIDFormat = "Thumbprint"
	// LibTrust is what registry 2.x computes.
	LibTrust KeyIDFormat = "LibTrust"
	// SSHFingerprintMD5 is the MD5 of the SSH wire form, in hex with colons: what Provide Ident uses.
	SSHFingerprintMD5 KeyIDFormat = "SSHFingerprintMD5"
)

// RotationMode says who decides when the next key signs.
// +kubebuilder:validation:Enum=Automatic;Manual;Never
type RotationMode string

// The modes of rotation.
const (
	// RotationAutomatic rotates at the interval.
	RotationAutomatic RotationMode = "Automatic"
	// RotationManual keeps the standby waiting for the annotation tokenwright.dev/activate=<kid>.
	RotationManual RotationMode = "Manual"
	// RotationNever keeps one key, for verifiers that hold one key for ever.
	RotationNever RotationMode = "Never"
)

// Rotation says when keys change.
// +kubebuilder:validation:XValidation:rule="!has(self.publishAhead) || !has(self.interval) || duration(self.publishAhead) < duration(self.interval)",message="publishAhead must be shorter than interval",fieldPath=".publishAhead"
type Rotation struct {
	// mode is Automatic, Manual or Never.
	// +optional
	// +kubebuilder:default=Automatic
	Mode RotationMode `json:"mode,omitempty"`

	// interval is how long one key signs, from 1m to 99999h.
	// +optional
	// +kubebuilder:default="720h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m')",message="interval must be at least 1m"
	Interval Duration `json:"interval,omitempty"`

	// publishAhead is how long a key is public before it signs. With KeyID it must cover the caches of the verifiers.
	// +optional
	// +kubebuilder:default="2h"
	PublishAhead Duration `json:"publishAhead,omitempty"`
}

// NamespacesFrom says which namespaces are meant.
// +kubebuilder:validation:Enum=All;Selector;None
type NamespacesFrom string

// The values of NamespacesFrom.
const (
	NamespacesAll      NamespacesFrom = "All"
	NamespacesSelector NamespacesFrom = "Selector"
	NamespacesNone     NamespacesFrom = "None"
)

// AdmittedNamespaces says whose AccessPolicies and ProtectedResources may speak of the audiences.
// +kubebuilder:validation:XValidation:rule="(has(self.from) && self.from == 'Selector') == has(self.selector)",message="selector must be given when from is Selector, and only then",fieldPath=".selector"
type AdmittedNamespaces struct {
	// from is All, Selector or None.
	// +optional
	// +kubebuilder:default=All
	From NamespacesFrom `json:"from,omitempty"`

	// selector matches the labels of namespaces when from is Selector.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// Publish says where the public part is put.
type Publish struct {
	// configMapName is the ConfigMap that holds jwks.json, ca.crt and key.pem; the SigningKey's name with "-keys" when
	// empty. A ConfigMap of that name that is not ours is never touched.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`
	ConfigMapName string `json:"configMapName,omitempty"`

	// namespaces are where copies are put, beside the SigningKey's own namespace; the installation must allow each.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespaces []string `json:"namespaces,omitempty"`
}

// SigningKeySpec says what tokens are signed with, for whom, and when keys change.
// +kubebuilder:validation:XValidation:rule="!has(self.rsaKeySize) || self.algorithm.startsWith('RS') || self.algorithm.startsWith('PS')",message="rsaKeySize may only be given with an RS or PS algorithm",reason=FieldValueForbidden,fieldPath=".rsaKeySize"
// +kubebuilder:validation:XValidation:rule="self.nonExpiringTokens == 'Forbidden' || self.keyIdentification == 'KeyID'",message="nonExpiringTokens may only be Allowed when keyIdentification is KeyID",reason=FieldValueForbidden,fieldPath=".nonExpiringTokens"
// +kubebuilder:validation:XValidation:rule="self.rotation.mode == 'Never' || duration(self.tokenLifetime) <= duration(self.rotation.interval)",message="tokenLifetime must not be longer than rotation.interval",fieldPath=".tokenLifetime"
type SigningKeySpec struct {
	// audiences are what this key signs for. Of two SigningKeys that claim one audience the older keeps it.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Audiences []Audience `json:"audiences,omitempty"`

	// namespaces says whose AccessPolicies and ProtectedResources may speak of the audiences.
	// +optional
	// +kubebuilder:default={}
	Namespaces AdmittedNamespaces `json:"namespaces,omitzero"`

	// algorithm is the signature algorithm; a change is a rotation.
	// +optional
	// +kubebuilder:default=ES256
	Algorithm Algorithm `json:"algorithm,omitempty"`

	// rsaKeySize is the size of RSA keys in bits; 3072 when absent.
	// +optional
	// +kubebuilder:validation:Enum=2048;3072;4096
	RSAKeySize int32 `json:"rsaKeySize,omitempty"`

	// tokenLifetime is the longest life of an access token, from 1m to 24h.
	// +optional
	// +kubebuilder:default="15m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="tokenLifetime must be from 1m to 24h"
	TokenLifetime Duration `json:"tokenLifetime,omitempty"`

	// keyIdentification is X509Chain (kid and x5c) or KeyID (kid only).
	// +optional
	// +kubebuilder:default=X509Chain
	KeyIdentification KeyIdentification `json:"keyIdentification,omitempty"`

	// keyIDFormat is how the kid is computed.
	// +optional
	// +kubebuilder:default=Thumbprint
	KeyIDFormat KeyIDFormat `json:"keyIDFormat,omitempty"`

	// nonExpiringTokens says whether tokens without an expiry may be signed; only with KeyID.
	// +optional
	// +kubebuilder:default=Forbidden
	NonExpiringTokens Permission `json:"nonExpiringTokens,omitempty"`

	// rotation says when keys change.
	// +optional
	// +kubebuilder:default={}
	Rotation Rotation `json:"rotation,omitzero"`

	// revokedKeyIDs are keys that must not be trusted any more, in any key-id format; unknown ones are kept.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	RevokedKeyIDs []string `json:"revokedKeyIDs,omitempty"`

	// publish says where the public part is put.
	// +optional
	// +kubebuilder:default={}
	Publish Publish `json:"publish,omitzero"`
}

// KeyState is where a key is in its life.
// +kubebuilder:validation:Enum=Pending;Published;Active;Retired;Revoked
type KeyState string

// The states of a key, in the order of its life; Revoked is terminal and can follow any.
const (
	KeyPending   KeyState = "Pending"
	KeyPublished KeyState = "Published"
	KeyActive    KeyState = "Active"
	KeyRetired   KeyState = "Retired"
	KeyRevoked   KeyState = "Revoked"
)

// KeyStatus is the public part of one key and its times.
type KeyStatus struct {
	// keyID is the kid in the SigningKey's format.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	KeyID string `json:"keyID,omitempty"`

	// thumbprint is the RFC 7638 thumbprint, which names the key whatever the format of its kid.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Thumbprint string `json:"thumbprint,omitempty"`

	// state is where the key is in its life.
	// +required
	State KeyState `json:"state,omitempty"`

	// jwk is the public key as a JSON Web Key (RFC 7517).
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=2048
	JWK string `json:"jwk,omitempty"`

	// createdTime is when the key was made.
	// +optional
	CreatedTime DateTime `json:"createdTime,omitempty"`

	// publishedTime is when the key had become public.
	// +optional
	PublishedTime DateTime `json:"publishedTime,omitempty"`

	// activatedTime is when the key began to sign.
	// +optional
	ActivatedTime DateTime `json:"activatedTime,omitempty"`

	// signUntil is when servers stop to sign with the key, even if nobody tells them.
	// +optional
	SignUntil DateTime `json:"signUntil,omitempty"`

	// retiredTime is when the key was replaced.
	// +optional
	RetiredTime DateTime `json:"retiredTime,omitempty"`

	// removalTime is when the last token of the key is dead and the key is dropped.
	// +optional
	RemovalTime DateTime `json:"removalTime,omitempty"`
}

// SigningKeyStatus is the state of the keys.
type SigningKeyStatus struct {
	// conditions are Ready, Published, Stalled while a person has to help, and Warning while something will go wrong.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="self.all(c, c.lastTransitionTime >= timestamp('0001-01-01T00:00:00Z'))",message="lastTransitionTime must be an RFC 3339 time in upper case"
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that the status speaks of; -1 before the first.
	// +optional
	// +kubebuilder:default=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// activeKeyID is the kid of the key that signs.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	ActiveKeyID string `json:"activeKeyID,omitempty"`

	// nextRotationTime is when the next key will sign.
	// +optional
	NextRotationTime DateTime `json:"nextRotationTime,omitempty"`

	// lastHandledRotate is the value of the annotation tokenwright.dev/rotate that was handled last.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	LastHandledRotate string `json:"lastHandledRotate,omitempty"`

	// lastHandledRotateCA is the value of the annotation tokenwright.dev/rotate-ca that was handled last.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	LastHandledRotateCA string `json:"lastHandledRotateCA,omitempty"`

	// keys are the keys of the set.
	// +optional
	// +listType=map
	// +listMapKey=thumbprint
	// +kubebuilder:validation:MaxItems=256
	Keys []KeyStatus `json:"keys,omitempty"`
}

// SigningKey is a set of keys that sign the tokens of some audiences, and that are rotated.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=skey,categories=tokenwright
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 200",message="metadata.name must have at most 200 characters: the names of its Secrets are made from it"
// +kubebuilder:printcolumn:name="Algorithm",type=string,JSONPath=`.spec.algorithm`
// +kubebuilder:printcolumn:name="Active key",type=string,JSONPath=`.status.activeKeyID`
// +kubebuilder:printcolumn:name="Next rotation",type=string,JSONPath=`.status.nextRotationTime`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type SigningKey struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec says what tokens are signed with, for whom, and when keys change.
	// +required
	Spec SigningKeySpec `json:"spec,omitzero"`

	// status is the state of the keys.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status SigningKeyStatus `json:"status,omitzero"`
}

// SigningKeyList is a list of SigningKeys.
// +kubebuilder:object:root=true
type SigningKeyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []SigningKey `json:"items"`
}
