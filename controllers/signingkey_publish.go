package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// home is where the public part always is.
func (w *keyWork) home() keyring.Publication {
	return keyring.Publication{Namespace: w.key.Namespace, Name: keyring.ConfigMapName(w.key)}
}

// errOutrun says that a ConfigMap holds a newer key set than ours.
var errOutrun = errors.New("it holds a newer generation")

// public is what the home ConfigMap says; nothing if there is none of ours. Copies are not asked: whoever may edit
// ConfigMaps in their namespaces could set a generation that no later key set ever reaches.
type public struct {
	generation  int64
	authorities [][]byte
	// err is why it is not known.
	err error
}

func (w *keyWork) readHome(ctx context.Context) public {
	place := w.home()
	var live corev1.ConfigMap
	err := w.live.Get(ctx, client.ObjectKey(place), &live)
	if client.IgnoreNotFound(err) != nil {
		return public{err: fmt.Errorf("get ConfigMap %s/%s: %w", place.Namespace, place.Name, err)}
	}
	if err != nil || w.ownsConfigMap(&live) != nil {
		return public{}
	}
	return public{
		generation:  publishedGeneration(&live),
		authorities: keyring.ParseAuthorities([]byte(live.Data[keyring.EntryAuthorities])),
	}
}

// outrun says whether the ConfigMap holds a newer key set than ours, which another manager made meanwhile. A copy that
// says so is believed only if home has one, too.
func (w *keyWork) outrun(ctx context.Context, place keyring.Publication, live *corev1.ConfigMap) (bool, error) {
	held := keyring.Credible(publishedGeneration(live), w.ring.Generation)
	if held > w.ring.Generation && place != w.home() {
		home := w.readHome(ctx)
		return keyring.Credible(home.generation, w.ring.Generation) > w.ring.Generation, home.err
	}
	return held > w.ring.Generation, nil
}

// publishHome makes the home ConfigMap hold the ring. It notes whether it does, and why not.
func (w *keyWork) publishHome(ctx context.Context) error {
	w.served, w.publication = false, nil
	if len(w.ring.Keys) == 0 || w.secret == nil {
		return nil // never an empty set, and nothing that no Secret holds yet
	}
	err := w.publish(ctx, w.home())
	if outpaced(err) {
		w.raced = true
		return err
	}
	w.served = err == nil
	w.publication, err = w.judge(w.home(), err)
	return err
}

// nameTakenError says that a ConfigMap of the needed name is somebody else's.
type nameTakenError struct{ cause error }

func (e *nameTakenError) Error() string {
	return fmt.Sprintf("a ConfigMap of the needed name is not ours: %v", e.cause)
}

// immutableError says that a ConfigMap of ours cannot be changed.
type immutableError struct{ place keyring.Publication }

func (e *immutableError) Error() string {
	return fmt.Sprintf("ConfigMap %s/%s was made immutable and does not hold the keys as they are; delete it, and it is made anew",
		e.place.Namespace, e.place.Name)
}

// publish makes the ConfigMap hold the ring: created, corrected, or left as it is.
func (w *keyWork) publish(ctx context.Context, place keyring.Publication) error {
	data, err := keyring.PublicData(w.ring)
	if err != nil {
		return err
	}
	var live corev1.ConfigMap
	err = w.live.Get(ctx, client.ObjectKey(place), &live)
	if gone(err) {
		// A bare Create takes the name: an apply would merge into whatever somebody else made of it meanwhile.
		live = corev1.ConfigMap{ObjectMeta: w.configMapMeta(place)}
		err = w.client.Create(ctx, &live, signingKeyOwner)
	}
	if err != nil {
		return fmt.Errorf("publish to ConfigMap %s/%s: %w", place.Namespace, place.Name, err)
	}
	if err := w.ownsConfigMap(&live); err != nil {
		return &nameTakenError{err}
	}
	newer, err := w.outrun(ctx, place, &live)
	if err != nil {
		return err
	}
	if newer {
		return fmt.Errorf("publish to ConfigMap %s/%s: %w than %d", place.Namespace, place.Name, errOutrun, w.ring.Generation)
	}
	if w.upToDate(&live, data) {
		return nil
	}
	if live.Immutable != nil && *live.Immutable {
		return &immutableError{place}
	}
	if err := w.client.Apply(ctx, w.configMap(&live, data), signingKeyOwner, client.ForceOwnership); err != nil {
		return fmt.Errorf("publish to ConfigMap %s/%s: %w", place.Namespace, place.Name, err)
	}
	return nil
}

func (w *keyWork) configMapMeta(place keyring.Publication) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{
		Namespace: place.Namespace, Name: place.Name,
		Labels:      map[string]string{v1alpha1.LabelSigningKey: keyring.Label(w.key.Name)},
		Annotations: map[string]string{keyring.AnnotationOwner: string(w.key.UID)},
	}
	if place.Namespace == w.key.Namespace {
		meta.OwnerReferences = []metav1.OwnerReference{keyring.OwnerReference(w.key)}
	}
	return meta
}

// configMap is what is applied: on the very object that was read, or not at all.
func (w *keyWork) configMap(live *corev1.ConfigMap, data map[string]string) *corev1ac.ConfigMapApplyConfiguration {
	meta := w.configMapMeta(keyring.Publication{Namespace: live.Namespace, Name: live.Name})
	meta.Annotations[v1alpha1.AnnotationGeneration] = strconv.FormatInt(w.ring.Generation, 10)
	configuration := corev1ac.ConfigMap(live.Name, live.Namespace).
		WithUID(live.UID).WithResourceVersion(live.ResourceVersion).
		WithLabels(meta.Labels).WithAnnotations(meta.Annotations).WithData(data)
	for _, ref := range meta.OwnerReferences {
		configuration.WithOwnerReferences(metav1ac.OwnerReference().
			WithAPIVersion(ref.APIVersion).WithKind(ref.Kind).WithName(ref.Name).WithUID(ref.UID).WithController(true))
	}
	return configuration
}

// ownsConfigMap returns nil if the ConfigMap is the SigningKey's.
func (w *keyWork) ownsConfigMap(live *corev1.ConfigMap) error {
	if live.Namespace == w.key.Namespace {
		return keyring.ControlledBy(w.key, live)
	}
	if live.Annotations[keyring.AnnotationOwner] != string(w.key.UID) {
		return fmt.Errorf("%s/%s is not marked as SigningKey %s's", live.Namespace, live.Name, w.key.Name)
	}
	return nil
}

// upToDate says whether the ConfigMap holds the ring, and is marked as it must be.
func (w *keyWork) upToDate(live *corev1.ConfigMap, data map[string]string) bool {
	for entry, text := range data {
		if live.Data[entry] != text {
			return false
		}
	}
	return live.Annotations[v1alpha1.AnnotationGeneration] == strconv.FormatInt(w.ring.Generation, 10) &&
		live.Labels[v1alpha1.LabelSigningKey] == keyring.Label(w.key.Name) &&
		live.Annotations[keyring.AnnotationOwner] == string(w.key.UID)
}

func publishedGeneration(live *corev1.ConfigMap) int64 {
	generation, err := strconv.ParseInt(live.Annotations[v1alpha1.AnnotationGeneration], 10, 64)
	if err != nil || generation < 0 || generation >= keyring.MaxGeneration {
		return 0
	}
	return generation
}

// places are where the public part shall be, home first.
func (w *keyWork) places() []keyring.Publication {
	home := w.home()
	places := []keyring.Publication{home}
	for _, namespace := range w.key.Spec.Publish.Namespaces {
		if namespace != home.Namespace {
			places = append(places, keyring.Publication{Namespace: namespace, Name: home.Name})
		}
	}
	return places
}

// notePublications adds the places to the ring, so that none is forgotten that something was put to. It says whether
// there are new ones.
func (w *keyWork) notePublications() bool {
	added := false
	for _, place := range w.places() {
		if !slices.Contains(w.ring.Publications, place) {
			w.ring.Publications = append(w.ring.Publications, place)
			added = true
		}
	}
	return added
}

// forbidden says whether the API server gives the manager no right.
func forbidden(err error) bool { return apierrors.IsForbidden(err) }
