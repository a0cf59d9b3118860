package v1alpha1

// IssuerURL is an https URL without user, query and fragment, such as https://token.actions.githubusercontent.com.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:Pattern=`^https://[A-Za-z0-9.:\[\]_-]+(/[!$->@-~]*)?$`
type IssuerURL string

// AudienceMatchPolicy says how the audiences of a token are compared with those of the provider.
// +kubebuilder:validation:Enum=MatchAny
type AudienceMatchPolicy string

// MatchAny says that one audience in common is enough.
const MatchAny AudienceMatchPolicy = "MatchAny"

// ClaimName names a claim of a token.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
type ClaimName string

// ClaimExpression is a CEL expression over `claims` or `user`, as in Kubernetes' AuthenticationConfiguration.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=4096
type ClaimExpression string

// JWTIssuer is who signs the tokens, and whom they must have been made for.
// +kubebuilder:validation:XValidation:rule="size(self.audiences) <= 1 || has(self.audienceMatchPolicy)",message="audienceMatchPolicy must be MatchAny where there are several audiences",reason=FieldValueRequired,fieldPath=".audienceMatchPolicy"
// +kubebuilder:validation:XValidation:rule="!has(self.discoveryURL) || self.discoveryURL != self.url",message="discoveryURL must differ from url",fieldPath=".discoveryURL"
type JWTIssuer struct {
	// url is the `iss` of the tokens, to the letter. The issuer's description is read from
	// {url}/.well-known/openid-configuration, and must name the same issuer.
	// +required
	URL IssuerURL `json:"url,omitempty"`

	// discoveryURL is where the description is read instead, the whole path included.
	// +optional
	DiscoveryURL IssuerURL `json:"discoveryURL,omitempty"`

	// certificateAuthority is the certificates (PEM) that the issuer's servers are verified by; without it, those that
	// the image holds.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	// +kubebuilder:validation:Pattern=`-----BEGIN CERTIFICATE-----`
	CertificateAuthority string `json:"certificateAuthority,omitempty"`

	// audiences are what the tokens must have been made for.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Audiences []Audience `json:"audiences,omitempty"`

	// audienceMatchPolicy is MatchAny: one of the audiences is enough. It must be given where there are several.
	// +optional
	AudienceMatchPolicy AudienceMatchPolicy `json:"audienceMatchPolicy,omitempty"`
}

// ClaimOrExpression says where a value comes from: a claim as it is, or an expression over all of them.
// +kubebuilder:validation:ExactlyOneOf=claim;expression
type ClaimOrExpression struct {
	// claim is the claim that holds the value.
	// +optional
	Claim ClaimName `json:"claim,omitempty"`

	// expression makes the value of `claims`, such as claims.repository.
	// +optional
	Expression ClaimExpression `json:"expression,omitempty"`
}

// ExtraMapping makes one further fact about the caller.
type ExtraMapping struct {
	// key is the name of the fact: a domain that is yours and a path, in lower case, such as example.com/ref.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-a-z0-9._/]+$`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([^/]*[.])?(kubernetes|k8s)[.]io/')",message="key must not be in a domain of Kubernetes"
	Key string `json:"key,omitempty"`

	// valueExpression makes a text, or a list of them, of `claims`.
	// +required
	ValueExpression ClaimExpression `json:"valueExpression,omitempty"`
}

// ClaimMappings makes a caller of the claims of a token.
type ClaimMappings struct {
	// username is the user's name; the prefix is put before it. An expression that uses claims.email must use
	// claims.email_verified, too, here or in a rule.
	// +required
	Username ClaimOrExpression `json:"username,omitzero"`

	// groups are the user's groups, a text or a list of them; the prefix is put before each.
	// +optional
	Groups *ClaimOrExpression `json:"groups,omitempty"`

	// uid is the issuer's own id of the user.
	// +optional
	UID *ClaimOrExpression `json:"uid,omitempty"`

	// extra are further facts about the user, for expressions of policies.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Extra []ExtraMapping `json:"extra,omitempty"`
}

// ClaimValidationRule is what a token must fulfil, by a claim and its value or by an expression.
// +kubebuilder:validation:ExactlyOneOf=claim;expression
// +kubebuilder:validation:XValidation:rule="has(self.claim) == has(self.requiredValue)",message="requiredValue must be given with claim, and not without it",fieldPath=".requiredValue"
// +kubebuilder:validation:XValidation:rule="!has(self.message) || has(self.expression)",message="message may only be given with expression",reason=FieldValueForbidden,fieldPath=".message"
type ClaimValidationRule struct {
	// claim must be there and be requiredValue.
	// +optional
	Claim ClaimName `json:"claim,omitempty"`

	// requiredValue is the text that the claim must be.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	RequiredValue string `json:"requiredValue,omitempty"`

	// expression must be true, such as claims.repository_owner_id == '12345'.
	// +optional
	Expression ClaimExpression `json:"expression,omitempty"`

	// message is for the server's log where the expression is not true.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`
}

// UserValidationRule is what a user must fulfil as mapped, before the prefix is put to the names.
type UserValidationRule struct {
	// expression over `user` must be true, such as user.groups.size() > 0.
	// +required
	Expression ClaimExpression `json:"expression,omitempty"`

	// message is for the server's log where the expression is not true.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`
}

// JWTProvider knows callers by the tokens of one OpenID Connect issuer, in the shape of Kubernetes'
// AuthenticationConfiguration.
// +kubebuilder:validation:XValidation:rule="has(self.claimValidationRules) || !self.issuer.url.matches('(?i)^https://(accounts[.]google[.]com|agent[.]buildkite[.]com|api[.]bitbucket[.]org|app[.]terraform[.]io|appleid[.]apple[.]com|gitlab[.]com|login[.]microsoftonline[.]com|oauth2[.]sigstore[.]dev|oidc[.]circleci[.]com|oidc[.]codefresh[.]io|oidc[.]vercel[.]com|token[.]actions[.]githubusercontent[.]com)(:443)?(/|$)')",message="claimValidationRules must have at least one rule: the issuer gives tokens to everybody",reason=FieldValueRequired,fieldPath=".claimValidationRules"
type JWTProvider struct {
	// issuer is who signs the tokens, and whom they must have been made for.
	// +required
	Issuer JWTIssuer `json:"issuer,omitzero"`

	// prefix is put before the names of users and groups, such as gh:. It must not be the beginning of another
	// provider's, nor the reverse.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[!-~]+$`
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('system:')",message="prefix must not start with system:, which belongs to Kubernetes"
	Prefix string `json:"prefix,omitempty"`

	// claimMappings makes a caller of the claims of a token.
	// +required
	ClaimMappings ClaimMappings `json:"claimMappings,omitzero"`

	// claimValidationRules are what a token must fulfil, all of them. An issuer that gives tokens to everybody, such as
	// GitHub Actions, needs at least one.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	ClaimValidationRules []ClaimValidationRule `json:"claimValidationRules,omitempty"`

	// userValidationRules are what a user must fulfil, all of them, before the prefix is put to the names.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	UserValidationRules []UserValidationRule `json:"userValidationRules,omitempty"`
}
