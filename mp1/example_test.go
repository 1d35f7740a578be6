package mp1_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/mec-liveness/mepserver/mp1"
)

// The body of a registration is checked while it is read.
func ExampleDecodeServiceInfo() {
	info, err := mp1.DecodeServiceInfo([]byte(`{
		"serName": "face-recognition", "version": "1.0", "state": "ACTIVE", "serializer": "JSON",
		"transportId": "rest-http", "livenessInterval": 30.0, "colour": "members that MEC 011 does not have are ignored"}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.SerName, info.State, *info.LivenessInterval, info.TransportInfo.Type)
	// Output: face-recognition ACTIVE 30 REST_HTTP
}

// What breaks a rule is refused with the path of the attribute and the rule.
func ExampleInvalid() {
	_, err := mp1.DecodeServiceInfo([]byte(`{"serName": "face-recognition", "version": "1.0", "version": "2.0"}`))
	var invalid *mp1.Invalid
	if errors.As(err, &invalid) {
		fmt.Println(invalid.Attribute)
		fmt.Println(invalid)
	}
	// Output:
	// version
	// version: stands twice in its object
}

// Several values of one parameter are alternatives, and an absent isLocal means true.
func ExampleFilter_Match() {
	filter, err := mp1.ParseQuery("ser_name=face-recognition&ser_name=video&is_local=true")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(filter.Match(&mp1.ServiceInfo{SerName: "video"}))
	fmt.Println(filter.Match(&mp1.ServiceInfo{SerName: "location"}))
	// Output:
	// true
	// false
}

// A subscription without criteria is told of every change.
func ExampleFilteringCriteria_Match() {
	subscription, err := mp1.DecodeSubscription([]byte(`{
		"subscriptionType": "SerAvailabilityNotificationSubscription",
		"callbackReference": "http://10.0.0.7:8080/notifications",
		"filteringCriteria": {"serNames": ["face-recognition"], "states": ["SUSPENDED"]}}`))
	if err != nil {
		log.Fatal(err)
	}
	service := &mp1.ServiceInfo{SerName: "face-recognition", State: mp1.Suspended}
	fmt.Println(subscription.FilteringCriteria.Match(service))
	service.State = mp1.Active
	fmt.Println(subscription.FilteringCriteria.Match(service))
	// Output:
	// true
	// false
}

// What a platform would refuse is found before it is sent, all of it at once.
func ExampleServiceInfo_Validate() {
	err := mp1.ServiceInfo{SerName: "face-recognition", Version: "1.0", State: "RUNNING", Serializer: "JSON"}.Validate()
	var faults mp1.Faults
	if errors.As(err, &faults) {
		for _, fault := range faults {
			fmt.Println(fault)
		}
	}
	// Output:
	// state: must be one of ACTIVE, INACTIVE, SUSPENDED
	// transportInfo: one of transportInfo and transportId is mandatory
}
