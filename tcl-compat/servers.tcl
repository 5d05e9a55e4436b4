# Servers that the suite starts with directives of subsystems that are not there yet. The driver appends this to the suite's
# tests/support/server.tcl; ::left_out holds the directives that skip.txt lists under [servers], each with its reason.
#
# A line `tag:NAME` leaves out the servers with that tag, whatever their directives, and `tag:cluster` the clusters as well.
#
# A line `code:TEXT` leaves out the servers whose tests contain that text; it is for those that have no other mark.
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

proc left_out_tag {tags} {
    foreach tag [split [string map {\" {}} $tags]] {
        if {[dict exists $::left_out tag:$tag]} {return tag:$tag}
    }
    return {}
}

proc left_out_code {code} {
    foreach what [dict keys $::left_out code:*] {
        if {[string first [string range $what 5 end] $code] >= 0} {return $what}
    }
    return {}
}

proc leave_out {what} {
    send_data_packet $::test_server_fd skip "a server with $what: [dict get $::left_out $what]"
}

rename start_server start_any_server
proc start_server {options {code undefined}} {
    if {[left_out_code $code] ne {}} {
        leave_out [left_out_code $code]
        return
    }
    set given {}
    foreach {option value} $options {
        if {$option eq {tags} && [left_out_tag $value] ne {}} {
            leave_out [left_out_tag $value]
            return
        }
        if {$option in {overrides config_lines}} {
            set value [without_idle_directives $value]
            set missing [left_out_directive $value]
            if {$missing ne {}} {
                leave_out $missing
                return
            }
        }
        lappend given $option $value
    }
    uplevel 1 [list start_any_server $given $code]
}
