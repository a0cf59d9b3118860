package keyring

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// The types of our Secrets. A Secret of another type is never read.
const (
	SecretType   = "tokenwright.dev/signing-key"
	CASecretType = "tokenwright.dev/certificate-authority"
)

// AnnotationOwner is on what a SigningKey owns in other namespaces, where an owner reference cannot lead: the UID of the
// SigningKey.
const AnnotationOwner = "tokenwright.dev/signing-key-uid"

// SecretName is the name of the Secret that holds the SigningKey's keys, in the SigningKey's namespace.
func SecretName(signingKey string) string { return signingKey + "-signing-key" }

// CASecretName is the name of the Secret that holds the certificate authority, in the namespace for authorities.
func CASecretName(signingKey string) string { return signingKey + "-certificate-authority" }

// ConfigMapName is the name of the ConfigMaps that hold the public part.
func ConfigMapName(key *v1alpha1.SigningKey) string {
	if key.Spec.Publish.ConfigMapName != "" {
		return key.Spec.Publish.ConfigMapName
	}
	return key.Name + "-keys"
}

// SecretLabels are on our Secrets, also on those of certificate authorities: the second is what caches select by.
func SecretLabels(signingKey string) map[string]string {
	return map[string]string{v1alpha1.LabelSigningKey: Label(signingKey), v1alpha1.LabelWatch: "true"}
}

// OwnerReference is on what the SigningKey owns in its namespace, which goes with it. It does not block the deletion: that
// would need a right on finalizers where the API server checks it.
func OwnerReference(key *v1alpha1.SigningKey) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "SigningKey", Name: key.Name, UID: key.UID, Controller: new(true),
	}
}

// OwnedBy returns nil if the Secret, with the type that it says to have, holds the keys of the SigningKey: by type, by
// label, and by a controller reference with the SigningKey's UID, in its namespace. Nothing else is trusted.
func OwnedBy(owner, secret metav1.Object, secretType string) error {
	if secretType != SecretType {
		return fmt.Errorf("secret %s/%s has type %q, not %q", secret.GetNamespace(), secret.GetName(), secretType, SecretType)
	}
	if secret.GetLabels()[v1alpha1.LabelSigningKey] != Label(owner.GetName()) {
		return fmt.Errorf("secret %s/%s lacks the label %s=%s", secret.GetNamespace(), secret.GetName(),
			v1alpha1.LabelSigningKey, Label(owner.GetName()))
	}
	return ControlledBy(owner, secret)
}

// ControlledBy returns nil if the object has a controller reference with the SigningKey's UID, in its namespace.
func ControlledBy(owner, object metav1.Object) error {
	at := object.GetNamespace() + "/" + object.GetName()
	if object.GetNamespace() != owner.GetNamespace() {
		return fmt.Errorf("%s is not in the namespace of SigningKey %s", at, owner.GetName())
	}
	ref := metav1.GetControllerOf(object)
	if ref == nil || ref.UID == "" || ref.UID != owner.GetUID() || ref.Kind != "SigningKey" ||
		ref.APIVersion != v1alpha1.GroupVersion.String() || ref.Name != owner.GetName() {
		return fmt.Errorf("%s is not owned by SigningKey %s", at, owner.GetName())
	}
	return nil
}
