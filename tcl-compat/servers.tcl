# Servers that the suite starts with directives of subsystems that are not there yet. The driver appends this to the suite's
# tests/support/server.tcl; ::left_out holds the directives that skip.txt lists under [servers], each with its reason.
#
# A directive that is switched off is dropped, as its absence means the same. Of a server that needs one, nothing runs:
# it is reported as skipped, with the tests inside.

proc left_out_directive {directives} {
    foreach {name value} $directives {
        if {[dict exists $::left_out $name]} {return $name}
    }
    return {}
}

proc without_idle_directives {directives} {
    set kept {}
    foreach {name value} $directives {
        if {![dict exists $::left_out $name] || $value ni {{} no 0 {""} ''}} {lappend kept $name $value}
    }
    return $kept
}

rename start_server start_any_server
proc start_server {options {code undefined}} {
    set given {}
    foreach {option value} $options {
        if {$option in {overrides config_lines}} {
            set value [without_idle_directives $value]
            set missing [left_out_directive $value]
            if {$missing ne {}} {
                send_data_packet $::test_server_fd skip "a server with $missing: [dict get $::left_out $missing]"
                return
            }
        }
        lappend given $option $value
    }
    uplevel 1 [list start_any_server $given $code]
}
