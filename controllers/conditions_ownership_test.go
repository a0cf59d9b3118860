package controllers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// ownedByABackup makes a backup own the conditions beside the manager, as whoever restores objects with their statuses
// does.
func ownedByABackup(t *testing.T, o client.Object, conditions func() *[]metav1.Condition) {
	t.Helper()
	kept := append([]metav1.Condition(nil), *conditions()...)
	eventually(t, func() error {
		refresh(t, o)
		for _, next := range [][]metav1.Condition{nil, kept} {
			*conditions() = next
			if err := plane.Client.Status().Update(t.Context(), o, client.FieldOwner("backup")); err != nil {
				return err
			}
		}
		return nil
	})
}

// A condition that does not hold any more goes also where a backup owns it: an apply takes away what it owned alone, and
// an object that is in force would be Stalled for good.
func TestConditionsThatABackupOwnsGo(t *testing.T) {
	o := testOptions(t, "backup")
	p := accessPolicy("default", "restored", "elsewhere/**")
	a, b := claimPolicy("restored-a", "1"), claimPolicy("restored-b", "2")
	stop := startManager(t, plane.Config, o)
	create(t, p)
	create(t, a)
	create(t, b)
	status := func() v1alpha1.PolicyStatus { return p.Status }
	settled(t, p, status, broken(v1alpha1.ReasonOutsideNamespace))
	settled(t, a, func() v1alpha1.PolicyStatus { return a.Status }, inTheWay())
	stop()
	ownedByABackup(t, p, func() *[]metav1.Condition { return &p.Status.Conditions })
	ownedByABackup(t, a, func() *[]metav1.Condition { return &a.Status.Conditions })

	startManager(t, plane.Config, o)
	p.Spec.Rules[0].Names = []v1alpha1.ResourceName{"default/**"}
	if err := plane.Client.Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	settled(t, p, status, inForce)
	if err := plane.Client.Delete(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	settled(t, a, func() v1alpha1.PolicyStatus { return a.Status }, inForce)
}
