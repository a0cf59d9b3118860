package v1alpha1

// Condition types. Each object carries those that its own documentation names.
const (
	// ConditionReady has positive polarity and is on every kind: True when the object does what its spec says.
	// Ready=False alone means that work is in progress; together with Stalled=True a person has to help.
	ConditionReady = "Ready"

	// ConditionAccepted has positive polarity and is on policies and ProtectedResources: True when the spec compiles and stays
	// within the bounds of its namespace. An Allow that is not accepted grants nothing; a Deny that is not accepted denies
	// within its whole reach; a resource that is not accepted is not served.
	ConditionAccepted = "Accepted"

	// ConditionPublished has positive polarity and is on SigningKeys: True when the public keys are in the ConfigMap.
	ConditionPublished = "Published"

	// ConditionStalled has negative polarity and is present only while True: nothing will change until a person
	// changes something. kstatus reports such an object as failed.
	ConditionStalled = "Stalled"

	// ConditionWarning has negative polarity, is on SigningKeys and ClusterAccessPolicies, and is present only while True:
	// all is in force, but something known will or may go wrong unless a person changes something.
	ConditionWarning = "Warning"
)

// Reasons of Accepted and Ready on policies.
const (
	// ReasonAccepted says that the policy compiled (Accepted=True).
	ReasonAccepted = "Accepted"
	// ReasonInForce says that the policy is what servers decide by (Ready=True).
	ReasonInForce = "InForce"
	// ReasonOutsideNamespace says that a namespaced policy speaks of something that its namespace does not own.
	ReasonOutsideNamespace = "OutsideNamespace"
	// ReasonInvalidName says that a name does not follow the grammar of its rule's type.
	ReasonInvalidName = "InvalidName"
	// ReasonInvalidAction says that a rule has an action that its type does not know.
	ReasonInvalidAction = "InvalidAction"
	// ReasonInvalidSubject says that a subject can never be met, or may not be given this.
	ReasonInvalidSubject = "InvalidSubject"
	// ReasonInvalidCondition says that something in `when` does not parse.
	ReasonInvalidCondition = "InvalidCondition"
	// ReasonInvalidExpression says that `when.expression` does not compile or may cost too much.
	ReasonInvalidExpression = "InvalidExpression"
	// ReasonInvalidClaim says that a claim has a registered name or a value past its bounds.
	ReasonInvalidClaim = "InvalidClaim"
	// ReasonTooLarge says that the policy's subjects and names together would cost servers too much memory or time.
	ReasonTooLarge = "TooLarge"
	// ReasonInvalidLifetime says that a duration does not parse or lies outside its bounds.
	ReasonInvalidLifetime = "InvalidLifetime"
)

// Reasons of Warning on ClusterAccessPolicies.
const (
	// ReasonConflictingClaims says that another policy may give a caller another value for a claim; the caller then gets no
	// token that carries claims.
	ReasonConflictingClaims = "ConflictingClaims"
)

// Reasons of Ready, Published and Stalled on SigningKeys.
const (
	// ReasonSigning says that an Active key signs (Ready=True).
	ReasonSigning = "Signing"
	// ReasonPublished says that the ConfigMap holds the public keys (Published=True).
	ReasonPublished = "Published"
	// ReasonAudienceTaken says that an older SigningKey holds one of the audiences.
	ReasonAudienceTaken = "AudienceTaken"
	// ReasonNameTaken says that a ConfigMap or Secret of the needed name exists and is not ours.
	ReasonNameTaken = "NameTaken"
	// ReasonInvalidSpec says that fields of the spec contradict each other.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonPublishAheadTooShort says that keys would sign before caching verifiers can know them.
	ReasonPublishAheadTooShort = "PublishAheadTooShort"
	// ReasonInvalidSecret says that a Secret of ours does not hold what it must.
	ReasonInvalidSecret = "InvalidSecret"
	// ReasonPublishNamespaceNotAllowed says that a namespace in publish.namespaces gives the manager no right to write.
	ReasonPublishNamespaceNotAllowed = "PublishNamespaceNotAllowed"
	// ReasonImmutable says that a ConfigMap or Secret of ours must change, and somebody made it immutable.
	ReasonImmutable = "Immutable"
	// ReasonRequestFailed says that the API server did not do what the manager asked of it. It is tried again: alone it
	// does not make an object Stalled.
	ReasonRequestFailed = "RequestFailed"
	// ReasonPending says that work has begun and is not done.
	ReasonPending = "Pending"
	// ReasonDeleting says that the object is being deleted: nothing is signed any more, and the keys stay public until the
	// last token is dead (Ready=False).
	ReasonDeleting = "Deleting"
)

// Reasons of Warning on SigningKeys.
const (
	// ReasonKeyIDMiscomputed says that a registry is known to compute another kid for one of the keys.
	ReasonKeyIDMiscomputed = "KeyIDMiscomputed"
	// ReasonSignUntilNear says that the Active key soon may not sign any more, and that its successor waits for a person.
	ReasonSignUntilNear = "SignUntilNear"
	// ReasonAuthorityUnconfirmed says that a new certificate authority is published and waits for somebody to confirm that
	// the registries trust it.
	ReasonAuthorityUnconfirmed = "AuthorityUnconfirmed"
	// ReasonAuthorityNotReplaced says that a new certificate authority is asked for and is not made.
	ReasonAuthorityNotReplaced = "AuthorityNotReplaced"
)

// Reasons of Ready and Stalled on IdentityProviders.
const (
	// ReasonServing says that the provider is able to say who asks (Ready=True).
	ReasonServing = "Serving"
	// ReasonSecretNotFound says that the Secret does not exist.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretNotLabelled says that the Secret lacks the label tokenwright.dev/watch, without which nobody reads it.
	ReasonSecretNotLabelled = "SecretNotLabelled"
	// ReasonKeyNotFound says that the Secret lacks the key that the spec names.
	ReasonKeyNotFound = "KeyNotFound"
	// ReasonInvalidEntry says that lines of the file cannot be used; the others are.
	ReasonInvalidEntry = "InvalidEntry"
	// ReasonPrefixTaken says that an older provider has the same prefix, or one that makes names ambiguous.
	ReasonPrefixTaken = "PrefixTaken"
	// ReasonIssuerUnreachable says that the issuer's description or its keys cannot be had at present; it is tried again.
	ReasonIssuerUnreachable = "IssuerUnreachable"
)

// Reasons of Accepted, Ready and Stalled on ProtectedResources, beside Accepted, InForce and Deleting.
const (
	// ReasonAudienceUnknown says that no SigningKey holds the audience.
	ReasonAudienceUnknown = "AudienceUnknown"
	// ReasonNotAdmitted says that the audience's SigningKey does not admit the namespace.
	ReasonNotAdmitted = "NotAdmitted"
	// ReasonReservedType says that Tokenwright gives the type a meaning of its own.
	ReasonReservedType = "ReservedType"
	// ReasonInvalidResource says that a field does not hold what it must.
	ReasonInvalidResource = "InvalidResource"
	// ReasonIDTaken says that an older resource of the audience has the id; this one is not served.
	ReasonIDTaken = "IDTaken"
	// ReasonURITaken says that an older resource of the audience has one of the uris; this one is served without it
	// (Accepted=True, Ready=False).
	ReasonURITaken = "URITaken"
)

// Reasons of Ready on PermissionRequests.
const (
	// ReasonUndecided says that nobody has approved or denied the request.
	ReasonUndecided = "Undecided"
	// ReasonApproved says that the requester has the scopes (Ready=True).
	ReasonApproved = "Approved"
	// ReasonDenied says that the requester has nothing by this request (Ready=True).
	ReasonDenied = "Denied"
	// ReasonResourceChanged says that the resource is gone, has another owner or audience, or is not managed by its owner any
	// more: nothing is granted.
	ReasonResourceChanged = "ResourceChanged"
)

// Labels and annotations.
const (
	// LabelWatch must be on a Secret that an IdentityProvider names: the caches hold no other.
	LabelWatch = "tokenwright.dev/watch"
	// LabelSigningKey is on what a SigningKey owns; its value is the SigningKey's name.
	LabelSigningKey = "tokenwright.dev/signing-key"
	// AnnotationRotate asks for one rotation: any new value is one request.
	AnnotationRotate = "tokenwright.dev/rotate"
	// AnnotationRotateCA asks for a new certificate authority: any new value is one request.
	AnnotationRotateCA = "tokenwright.dev/rotate-ca"
	// AnnotationActivate names, in mode Manual, the standby that shall sign now.
	AnnotationActivate = "tokenwright.dev/activate"
	// AnnotationConfirmCA confirms that the registries trust the new certificate authority. Its value is that of
	// tokenwright.dev/rotate-ca, so that it confirms one request and no later one.
	AnnotationConfirmCA = "tokenwright.dev/confirm-ca"
	// AnnotationForceDelete, with any value, lets a SigningKey that is being deleted go at once.
	AnnotationForceDelete = "tokenwright.dev/force-delete"
	// AnnotationTestInterval replaces spec.rotation.interval, down to a second, where the manager runs with --test-bounds.
	AnnotationTestInterval = "tokenwright.dev/test-interval"
	// AnnotationGeneration is on the ConfigMap: the generation of the key set that it holds.
	AnnotationGeneration = "tokenwright.dev/key-set-generation"
	// LabelServerLease is on the Lease of each server.
	LabelServerLease = "tokenwright.dev/server-lease"
	// AnnotationServes is on the Lease of a server: the thumbprints of the keys that are or will be used and that it has in
	// its JWKS, separated by blanks.
	AnnotationServes = "tokenwright.dev/serves"
	// FinalizerSigningKey keeps a SigningKey that is being deleted until its last token is dead.
	FinalizerSigningKey = "tokenwright.dev/signing-key"
)
