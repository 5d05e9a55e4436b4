//! The commands of sorted sets and of places, through the wire.

mod common;

use std::collections::BTreeMap;

use common::{RawClient, TestServer, run, script, wait_for};

/// Runs a script on small sets, and then on large ones.
fn check(text: &str) {
    for entries in ["128", "0"] {
        let server = TestServer::start(&["--zset-max-listpack-entries", entries]);
        script(&mut server.client(false), text);
    }
}

#[test]
fn members_are_added_under_conditions() {
    check(
        "ZADD z 1 a 2 b 3 c -> 3
         ZADD z 10 a 4 d -> 1
         ZADD z CH 11 a 2 b 5 e -> 2
         ZADD z NX 99 a 6 f -> 1
         ZADD z XX 12 a 7 g -> 0
         ZADD z XX CH 13 a -> 1
         ZADD z GT CH 1 a 100 b -> 1
         ZADD z LT CH 200 a 2 b -> 1
         ZADD z GT 1 new -> 1
         ZADD z XX GT CH 1 b -> 0
         ZADD z INCR 5 a -> 18
         ZADD z NX INCR 5 a -> nil
         ZADD z XX INCR 5 none -> nil
         ZADD z GT INCR -5 a -> nil
         ZADD none XX 1 a -> 0
         EXISTS none -> 0
         ZINCRBY z 1.5 a -> 19.5
         ZINCRBY z -0.25 fresh -> -0.25
         ZINCRBY z inf a -> inf
         ZINCRBY z -inf a -> -ERR resulting score is not a number (NaN)
         ZRANGE z 0 -1 WITHSCORES -> [fresh,-0.25,new,1,b,2,c,3,d,4,e,5,f,6,a,inf]
         ZADD z NX XX 1 a -> -ERR XX and NX options at the same time are not compatible
         ZADD z NX GT 1 a -> -ERR GT, LT, and/or NX options at the same time are not compatible
         ZADD z GT LT 1 a -> -ERR GT, LT, and/or NX options at the same time are not compatible
         ZADD z INCR 1 a 2 b -> -ERR INCR option supports a single increment-element pair
         ZADD z 1 a 2 -> -ERR syntax error
         ZADD z NX -> -ERR wrong number of arguments for 'zadd' command
         ZADD z one a -> -ERR value is not a valid float
         ZADD z nan a -> -ERR value is not a valid float
         ZADD z 1 a two b -> -ERR value is not a valid float
         ZADD z 0x10 hex -> 1
         ZSCORE z hex -> 16
         ZADD z 1e400 a -> -ERR value is not a valid float
         ZADD z 1 x NX y -> -ERR value is not a valid float
         ZINCRBY z x a -> -ERR value is not a valid float
         ZINCRBY z 1 -> -ERR wrong number of arguments for 'zincrby' command
         SET s v -> OK
         ZADD s 1 a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZADD s x a -> -ERR value is not a valid float
         ZINCRBY s 1 a -> -WRONGTYPE Operation against a key holding the wrong kind of value",
    );
}

#[test]
fn one_thing_is_looked_up() {
    check(
        "ZADD z 1 a 2 b 2 c 3 d 4.5 e -> 5
         ZCARD z -> 5
         ZCARD none -> 0
         ZSCORE z e -> 4.5
         ZSCORE z none -> nil
         ZSCORE none a -> nil
         ZMSCORE z a none e -> [1,nil,4.5]
         ZMSCORE none a b -> [nil,nil]
         ZRANK z a -> 0
         ZRANK z e -> 4
         ZREVRANK z a -> 4
         ZRANK z none -> nil
         ZRANK none a -> nil
         ZRANK z c WITHSCORE -> [2,2]
         ZREVRANK z c withscore -> [2,2]
         ZRANK z none WITHSCORE -> nil
         ZRANK z a WITHSCORES -> -ERR syntax error
         ZRANK z a WITHSCORE x -> -ERR wrong number of arguments for 'zrank' command
         ZCOUNT z 2 3 -> 3
         ZCOUNT z (2 +inf -> 2
         ZCOUNT z -inf (2 -> 1
         ZCOUNT z 3 2 -> 0
         ZCOUNT z x 2 -> -ERR min or max is not a float
         ZCOUNT z nan 2 -> -ERR min or max is not a float
         ZLEXCOUNT z - + -> 5
         ZLEXCOUNT z - x -> -ERR min or max not valid string range item
         SET s v -> OK
         ZCARD s -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZSCORE s a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZMSCORE s a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZRANK s a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZCOUNT s 1 2 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZCOUNT s x 2 -> -ERR min or max is not a float
         ZLEXCOUNT s - + -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZRANGE s 0 -1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZRANGE s x -1 -> -ERR value is not an integer or out of range
         ZRANGEBYLEX s - + -> -WRONGTYPE Operation against a key holding the wrong kind of value",
    );
}

#[test]
fn ranges_are_counted_shown_stored_and_removed() {
    check(
        "ZADD z 1 a 2 b 2 c 3 d 4.5 e -> 5
         ZRANGE z 0 -1 -> [a,b,c,d,e]
         ZRANGE z 0 1 WITHSCORES -> [a,1,b,2]
         ZRANGE z -2 100 -> [d,e]
         ZRANGE z 3 2 -> []
         ZRANGE z 0 1 REV -> [e,d]
         ZREVRANGE z 0 1 WITHSCORES -> [e,4.5,d,3]
         ZRANGE z x 1 -> -ERR value is not an integer or out of range
         ZRANGE z 0 1 LIMIT 0 1 -> -ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
         ZRANGE z 0 1 LIMIT 0 -1 -> [a,b]
         ZRANGE z (1 3 BYSCORE -> [b,c,d]
         ZRANGE z 3 (1 BYSCORE REV -> [d,c,b]
         ZRANGE z -inf +inf BYSCORE LIMIT 1 2 WITHSCORES -> [b,2,c,2]
         ZRANGE z +inf -inf BYSCORE REV LIMIT 1 2 -> [d,c]
         ZRANGE z 1 x BYSCORE -> -ERR min or max is not a float
         ZRANGEBYSCORE z -inf (3 WITHSCORES LIMIT 1 -1 -> [b,2,c,2]
         ZREVRANGEBYSCORE z +inf 2 LIMIT 1 2 WITHSCORES -> [d,3,c,2]
         ZRANGEBYSCORE z 1 2 LIMIT 0 -> -ERR syntax error
         ZRANGEBYSCORE z 1 2 LIMIT 0 x -> -ERR value is not an integer or out of range
         ZRANGEBYSCORE z 1 2 REV -> -ERR syntax error
         ZREVRANGE z 0 1 BYSCORE -> -ERR syntax error
         ZRANGE z 0 1 BYSCORE BYLEX -> -ERR syntax error
         ZRANGE z - + BYLEX WITHSCORES -> -ERR syntax error, WITHSCORES not supported in combination with BYLEX
         ZADD l 0 a 0 aa 0 b 0 c 0 d -> 5
         ZRANGE l [a (c BYLEX -> [a,aa,b]
         ZRANGE l + [b BYLEX REV -> [d,c,b]
         ZRANGE l - + BYLEX LIMIT 1 2 -> [aa,b]
         ZRANGEBYLEX l (a [b -> [aa,b]
         ZREVRANGEBYLEX l (c - LIMIT 0 2 -> [b,aa]
         ZRANGEBYLEX l + - -> []
         ZRANGEBYLEX l a b -> -ERR min or max not valid string range item
         ZRANGEBYLEX l [a b -> -ERR min or max not valid string range item
         ZLEXCOUNT l [aa [c -> 3
         ZLEXCOUNT l (aa (c -> 1
         ZLEXCOUNT l [c [a -> 0
         ZRANGESTORE dst z 1 3 -> 3
         ZRANGE dst 0 -1 WITHSCORES -> [b,2,c,2,d,3]
         ZRANGESTORE dst z -inf +inf BYSCORE LIMIT 3 5 -> 2
         ZRANGE dst 0 -1 WITHSCORES -> [d,3,e,4.5]
         ZRANGESTORE dst l [a (b BYLEX REV -> 0
         ZRANGESTORE dst l (b [a BYLEX REV -> 2
         ZRANGE dst 0 -1 WITHSCORES -> [a,0,aa,0]
         ZRANGESTORE dst z 0 -1 WITHSCORES -> -ERR syntax error
         ZRANGESTORE dst none 0 -1 -> 0
         EXISTS dst -> 0
         SET s v -> OK
         ZRANGESTORE s z 0 0 -> 1
         TYPE s -> zset
         SET s v -> OK
         ZRANGESTORE dst s 0 -1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZREM l a none d a -> 2
         ZREM l aa b c -> 3
         EXISTS l -> 0
         ZREM none a -> 0
         ZREM s a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZREMRANGEBYRANK z -1 -1 -> 1
         ZREMRANGEBYRANK z 3 9 -> 1
         ZREMRANGEBYRANK z x 1 -> -ERR value is not an integer or out of range
         ZREMRANGEBYSCORE z (2 3 -> 0
         ZREMRANGEBYSCORE z (1 2 -> 2
         ZREMRANGEBYSCORE z x 2 -> -ERR min or max is not a float
         ZREMRANGEBYSCORE z 1 1 -> 1
         EXISTS z -> 0
         ZADD l 0 a 0 b 0 c 0 d -> 4
         ZREMRANGEBYLEX l [a (c -> 2
         ZREMRANGEBYLEX l a b -> -ERR min or max not valid string range item
         ZREMRANGEBYLEX l - + -> 2
         EXISTS l -> 0
         ZREMRANGEBYLEX none - + -> 0
         ZREMRANGEBYLEX s - + -> -WRONGTYPE Operation against a key holding the wrong kind of value",
    );
}

#[test]
fn sets_are_united_and_intersected() {
    check(
        "ZADD a 1 x 2 y 3 z -> 3
         ZADD b 10 y 20 z 30 w -> 3
         SADD s x w 7 -> 3
         ZUNION 2 a b WITHSCORES -> [x,1,y,12,z,23,w,30]
         ZUNION 2 a b WEIGHTS 2 0.5 WITHSCORES -> [x,2,y,9,w,15,z,16]
         ZUNION 2 a b AGGREGATE MIN WITHSCORES -> [x,1,y,2,z,3,w,30]
         ZUNION 2 a b AGGREGATE max WEIGHTS 1 -1 WITHSCORES -> [w,-30,x,1,y,2,z,3]
         ZUNION 3 a s none WITHSCORES -> [7,1,w,1,x,2,y,2,z,3]
         ZINTER 2 a b WITHSCORES -> [y,12,z,23]
         ZINTER 2 a b AGGREGATE MAX -> [y,z]
         ZINTER 2 a s WITHSCORES -> [x,2]
         ZINTER 2 a none -> []
         ZINTER 2 a a WITHSCORES -> [x,2,y,4,z,6]
         ZDIFF 2 a b WITHSCORES -> [x,1]
         ZDIFF 2 a s -> [y,z]
         ZDIFF 1 a -> [x,y,z]
         ZDIFF 2 a a -> []
         ZDIFF 2 none a -> []
         ZINTERCARD 2 a b -> 2
         ZINTERCARD 2 a b LIMIT 1 -> 1
         ZINTERCARD 2 a b LIMIT 0 -> 2
         ZINTERCARD 1 s -> 3
         ZUNIONSTORE d 2 a b -> 4
         ZRANGE d 0 -1 WITHSCORES -> [x,1,y,12,z,23,w,30]
         ZINTERSTORE d 2 a b WEIGHTS 1 2 -> 2
         ZRANGE d 0 -1 WITHSCORES -> [y,22,z,43]
         ZDIFFSTORE d 2 a b -> 1
         ZRANGE d 0 -1 WITHSCORES -> [x,1]
         ZDIFFSTORE d 2 a a -> 0
         EXISTS d -> 0
         ZUNIONSTORE a 2 a b -> 4
         ZRANGE a 0 -1 WITHSCORES -> [x,1,y,12,z,23,w,30]
         ZADD i inf p -> 1
         ZADD j -inf p -> 1
         ZUNION 2 i j WITHSCORES -> [p,0]
         ZUNION 1 i WEIGHTS 0 WITHSCORES -> [p,0]
         ZINTER 2 i j WITHSCORES -> [p,0]
         ZINTER 2 j i WEIGHTS 1 0 AGGREGATE MIN WITHSCORES -> [p,-inf]
         ZUNION 0 a -> -ERR at least 1 input key is needed for 'zunion' command
         ZUNION x a -> -ERR value is not an integer or out of range
         ZUNION -1 a -> -ERR at least 1 input key is needed for 'zunion' command
         ZUNIONSTORE d 0 a -> -ERR at least 1 input key is needed for 'zunionstore' command
         ZINTERCARD 0 a -> -ERR at least 1 input key is needed for 'zintercard' command
         ZUNION 3 a b -> -ERR syntax error
         ZUNION 2 a b WEIGHTS 1 -> -ERR syntax error
         ZUNION 2 a b WEIGHTS 1 x -> -ERR weight value is not a float
         ZUNION 2 a b AGGREGATE avg -> -ERR syntax error
         ZUNIONSTORE d 1 a WITHSCORES -> -ERR syntax error
         ZDIFF 1 a WEIGHTS 1 -> -ERR syntax error
         ZDIFF 1 a AGGREGATE MIN -> -ERR syntax error
         ZINTERCARD 1 a LIMIT -1 -> -ERR LIMIT can't be negative
         ZINTERCARD 1 a LIMIT x -> -ERR LIMIT can't be negative
         ZINTERCARD 1 a WITHSCORES -> -ERR syntax error
         SET str v -> OK
         ZUNION 2 a str -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZUNION 2 str a WEIGHTS 1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZUNIONSTORE str 1 i -> 1
         TYPE str -> zset",
    );
}

#[test]
fn ends_are_taken_and_members_drawn() {
    check(
        "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f -> 6
         ZPOPMIN z -> [a,1]
         ZPOPMAX z -> [f,6]
         ZPOPMIN z 2 -> [b,2,c,3]
         ZPOPMAX z 0 -> []
         ZPOPMAX z 100 -> [e,5,d,4]
         EXISTS z -> 0
         ZPOPMIN z -> []
         ZPOPMIN z 3 -> []
         ZPOPMIN z -1 -> -ERR value is out of range, must be positive
         ZPOPMIN z x -> -ERR value is out of range, must be positive
         ZPOPMIN z 1 2 -> -ERR syntax error
         ZADD z 1 a 2 b 3 c 4 d 5 e 6 f -> 6
         ZMPOP 1 none MIN -> nil
         ZMPOP 2 none z MIN -> [z,[[a,1]]]
         ZMPOP 2 none z MAX COUNT 2 -> [z,[[f,6],[e,5]]]
         ZMPOP 1 z min count 100 -> [z,[[b,2],[c,3],[d,4]]]
         EXISTS z -> 0
         ZMPOP 0 z MIN -> -ERR numkeys should be greater than 0
         ZMPOP x z MIN -> -ERR numkeys should be greater than 0
         ZMPOP 1 z -> -ERR wrong number of arguments for 'zmpop' command
         ZMPOP 2 z MIN -> -ERR syntax error
         ZMPOP 1 z MID -> -ERR syntax error
         ZMPOP 1 z MIN COUNT -> -ERR syntax error
         ZMPOP 1 z MIN COUNT 0 -> -ERR count should be greater than 0
         ZMPOP 1 z MIN COUNT x -> -ERR count should be greater than 0
         ZMPOP 1 z MIN COUNT 1 COUNT 1 -> -ERR syntax error
         ZMPOP 1 z MIN FOO 1 -> -ERR syntax error
         BZPOPMIN z 0.01 -> nil
         BZPOPMIN z x -> -ERR timeout is not a float or out of range
         BZPOPMIN z -1 -> -ERR timeout is negative
         BZMPOP 0.01 1 z MIN -> nil
         BZMPOP -1 1 z MIN -> -ERR timeout is negative
         BZMPOP x 0 z MIN -> -ERR numkeys should be greater than 0
         BZMPOP 0 0 z MIN -> -ERR numkeys should be greater than 0
         ZADD z 1 a 2 b 3 c -> 3
         BZPOPMIN none z 0 -> [z,a,1]
         BZPOPMAX z 0 -> [z,c,3]
         BZMPOP 0 2 none z MAX COUNT 5 -> [z,[[b,2]]]
         SET s v -> OK
         ZPOPMIN s -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZMPOP 2 none s MIN -> -WRONGTYPE Operation against a key holding the wrong kind of value
         BZPOPMIN s 0 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         BZMPOP 0 1 s MIN -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZADD z 1 a -> 1
         BZPOPMIN z s 0 -> [z,a,1]
         ZRANDMEMBER none -> nil
         ZRANDMEMBER none 5 -> []
         ZRANDMEMBER s -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZRANDMEMBER s 1 -> -WRONGTYPE Operation against a key holding the wrong kind of value
         ZADD z 1 a -> 1
         ZRANDMEMBER z -> a
         ZRANDMEMBER z 5 WITHSCORES -> [a,1]
         ZRANDMEMBER z -3 -> [a,a,a]
         ZRANDMEMBER z -2 WITHSCORES -> [a,1,a,1]
         ZRANDMEMBER z 0 -> []
         ZRANDMEMBER z x -> -ERR value is not an integer or out of range
         ZRANDMEMBER z 1 WITHSCORE -> -ERR syntax error
         ZRANDMEMBER z 1 WITHSCORES x -> -ERR syntax error
         ZRANDMEMBER z -9223372036854775808 -> -ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
         ZRANDMEMBER z 9223372036854775807 WITHSCORES -> -ERR value is out of range
         ZRANDMEMBER z -9223372036854775807 WITHSCORES -> -ERR value is out of range
         ZSCAN z 0 -> [0,[a,1]]
         ZSCAN z 0 MATCH b* -> [0,[]]
         ZSCAN none 0 -> [0,[]]
         ZSCAN z x -> -ERR invalid cursor
         ZSCAN none x -> -ERR invalid cursor
         ZSCAN z 0 COUNT 0 -> -ERR syntax error
         ZSCAN none 0 COUNT 0 -> [0,[]]
         ZSCAN z 0 NOVALUES -> -ERR NOVALUES option can only be used in HSCAN
         ZSCAN s 0 -> -WRONGTYPE Operation against a key holding the wrong kind of value",
    );
}

#[test]
fn places_are_kept_and_searched() {
    check(
        "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania -> 2
         GEOADD g NX CH 0 0 Palermo 12.758489 38.788135 edge1 -> 1
         GEOADD g XX CH 17.241510 38.788135 edge2 -> 0
         GEOADD g CH 17.241510 38.788135 edge2 13.361389 38.115556 Palermo -> 1
         GEODIST g Palermo Catania -> 166274.1516
         GEODIST g Palermo Catania km -> 166.2742
         GEODIST g Palermo Catania MI -> 103.3182
         GEODIST g Palermo Catania ft -> 545518.8700
         GEODIST g Palermo Palermo -> 0.0000
         GEODIST g Palermo none -> nil
         GEODIST none Palermo Catania -> nil
         GEODIST g Palermo Catania yd -> -ERR unsupported unit provided. please use M, KM, FT, MI
         GEODIST g Palermo Catania m m -> -ERR syntax error
         GEOHASH g Palermo none Catania -> [sqc8b49rny0,nil,sqdtr74hyu0]
         GEOHASH none a b -> [nil,nil]
         GEOHASH g -> []
         GEOPOS g Palermo none -> [[13.361389338970184,38.1155563954963],nil]
         GEOPOS none a -> [nil]
         ZRANGE g 0 -1 WITHSCORES -> [Palermo,3479099956230698,edge1,3479273021651468,Catania,3479447370796909,edge2,3481342659049484]
         GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC -> [Catania,Palermo]
         GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km DESC WITHDIST -> [[Palermo,190.4424],[Catania,56.4413]]
         GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHCOORD WITHHASH WITHDIST -> [[Catania,56.4413,3479447370796909,[15.087267458438873,37.50266842333162]],[Palermo,190.4424,3479099956230698,[13.361389338970184,38.1155563954963]],[edge2,279.7403,3481342659049484,[17.241510450839996,38.78813451624225]],[edge1,279.7405,3479273021651468,[12.75848776102066,38.78813451624225]]]
         GEOSEARCH g FROMMEMBER Palermo BYRADIUS 200 km ASC COUNT 2 -> [Palermo,edge1]
         GEOSEARCH g FROMMEMBER Palermo BYRADIUS 200 km COUNT 2 -> [Palermo,edge1]
         GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1 m COUNT 1 ANY -> [Palermo]
         GEOSEARCH none FROMMEMBER Palermo BYRADIUS 1 m -> []
         GEORADIUS g 15 37 200 km ASC -> [Catania,Palermo]
         GEORADIUS g 15 37 200 km WITHDIST COUNT 1 -> [[Catania,56.4413]]
         GEORADIUS_RO g 15 37 100 mi DESC -> [Catania]
         GEORADIUSBYMEMBER g Catania 200 km ASC -> [Catania,Palermo]
         GEORADIUSBYMEMBER_RO g Catania 100 km ASC -> [Catania]
         GEORADIUSBYMEMBER none Catania 100 km -> []
         GEORADIUSBYMEMBER none Catania x y -> []
         GEORADIUS none 15 37 200 km -> []
         GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km -> 2
         ZRANGE d 0 -1 WITHSCORES -> [Palermo,3479099956230698,Catania,3479447370796909]
         GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST COUNT 1 -> 1
         ZCARD d -> 1
         GEORADIUS g 15 37 200 km STORE d -> 2
         ZCARD d -> 2
         GEORADIUS g 15 37 200 km STOREDIST d COUNT 1 -> 1
         ZCARD d -> 1
         GEORADIUS none 15 37 200 km STORE d -> 0
         EXISTS d -> 0
         GEOSEARCHSTORE d g FROMLONLAT 0 0 BYRADIUS 1 m -> 0
         EXISTS d -> 0
         GEOADD g 200 0 x -> -ERR invalid longitude,latitude pair 200.000000,0.000000
         GEOADD g 0 86 x -> -ERR invalid longitude,latitude pair 0.000000,86.000000
         GEOADD g x 0 x -> -ERR value is not a valid float
         GEOADD g NX XX 0 0 x -> -ERR syntax error
         GEOADD g 0 0 -> -ERR wrong number of arguments for 'geoadd' command
         GEOADD g NX CH XX -> -ERR syntax error
         GEOADD g NX 0 0 x 1 -> -ERR syntax error
         GEOSEARCH g FROMLONLAT 15 37 -> -ERR wrong number of arguments for 'geosearch' command
         GEOSEARCH g FROMLONLAT 15 37 ASC ASC ASC -> -ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH
         GEOSEARCH g BYRADIUS 1 m ASC ASC -> -ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH
         GEOSEARCH g FROMLONLAT 15 37 FROMMEMBER Palermo BYRADIUS 1 m -> -ERR syntax error
         GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 m BYBOX 1 1 m -> -ERR syntax error
         GEOSEARCH g FROMMEMBER none BYRADIUS 1 m -> -ERR could not decode requested zset member
         GEOSEARCH g FROMLONLAT 15 37 BYRADIUS -1 m -> -ERR radius cannot be negative
         GEOSEARCH g FROMLONLAT 15 37 BYRADIUS x m -> -ERR need numeric radius
         GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 yd -> -ERR unsupported unit provided. please use M, KM, FT, MI
         GEOSEARCH g FROMLONLAT 15 37 BYBOX x 1 m -> -ERR need numeric width
         GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 x m -> -ERR need numeric height
         GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 -1 m -> -ERR height or width cannot be negative
         GEOSEARCH g FROMLONLAT 200 37 BYBOX 1 1 m -> -ERR invalid longitude,latitude pair 200.000000,37.000000
         GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 m COUNT 0 -> -ERR COUNT must be > 0
         GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 m COUNT x -> -ERR value is not an integer or out of range
         GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 m ANY -> -ERR the ANY argument requires COUNT argument
         GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 m STORE d -> -ERR syntax error
         GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 m STOREDIST -> -ERR syntax error
         GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 1 m WITHDIST -> -ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options
         GEORADIUS g 15 37 200 km STORE d WITHDIST -> -ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options
         GEORADIUS_RO g 15 37 200 km STORE d -> -ERR syntax error
         SET s v -> OK
         GEOADD s 0 0 x -> -WRONGTYPE Operation against a key holding the wrong kind of value
         GEODIST s a b -> -WRONGTYPE Operation against a key holding the wrong kind of value
         GEOHASH s a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         GEOPOS s a -> -WRONGTYPE Operation against a key holding the wrong kind of value
         GEOSEARCH s FROMLONLAT x 37 BYRADIUS 1 m -> -WRONGTYPE Operation against a key holding the wrong kind of value",
    );
}

/// Reads a whole reply, and gives its lines with blanks between them.
fn whole(client: &mut RawClient) -> String {
    let line = client.line();
    let items = match line.split_at(1) {
        ("$", "-1") | ("*", "-1") => 0,
        ("$", _) => 1,
        ("*" | "~", count) => count.parse().unwrap(),
        _ => 0,
    };
    if line.starts_with('$') && items == 1 {
        return format!("{line} {}", client.line());
    }
    (0..items).fold(line, |text, _| format!("{text} {}", whole(client)))
}

#[test]
fn scores_are_doubles_in_resp3() {
    let server = TestServer::start(&[]);
    let mut c = server.raw();
    c.command(&["HELLO", "3"]);
    (0..15).for_each(|_| drop(c.reply()));
    for (command, expected) in [
        ("ZADD z 1 a 2.5 b", ":2"),
        ("ZADD z INCR 1 a", ",2"),
        ("ZADD z XX INCR 1 none", "_"),
        ("ZSCORE z b", ",2.5"),
        ("ZSCORE z none", "_"),
        ("ZMSCORE z b none", "*2 ,2.5 _"),
        ("ZINCRBY z inf c", ",inf"),
        ("ZRANK z b WITHSCORE", "*2 :1 ,2.5"),
        ("ZRANK z none WITHSCORE", "_"),
        ("ZRANK z none", "_"),
        ("ZRANGE z 0 0 WITHSCORES", "*1 *2 $1 a ,2"),
        ("ZRANGE z 0 -1 REV", "*3 $1 c $1 b $1 a"),
        ("ZRANGE none 0 -1", "*0"),
        ("ZRANGEBYSCORE z 2 2 WITHSCORES", "*1 *2 $1 a ,2"),
        ("ZUNION 1 z WITHSCORES", "*3 *2 $1 a ,2 *2 $1 b ,2.5 *2 $1 c ,inf"),
        ("ZDIFF 1 z", "*3 $1 a $1 b $1 c"),
        ("ZRANDMEMBER z 9 WITHSCORES", "*3 *2 $1 c ,inf *2 $1 b ,2.5 *2 $1 a ,2"),
        ("ZRANDMEMBER none", "_"),
        ("ZSCAN z 0", "*2 $1 0 *6 $1 a $1 2 $1 b $3 2.5 $1 c $3 inf"),
        ("ZPOPMIN z", "*2 $1 a ,2"),
        ("ZPOPMIN z 1", "*1 *2 $1 b ,2.5"),
        ("ZPOPMIN none", "*0"),
        ("ZMPOP 1 none MIN", "_"),
        ("ZMPOP 1 z MIN", "*2 $1 z *1 *2 $1 c ,inf"),
        ("BZPOPMIN z 0.01", "_"),
        ("ZADD z 1 a 2 b", ":2"),
        ("BZPOPMAX z 0", "*3 $1 z $1 b ,2"),
        ("BZMPOP 0 1 z MAX", "*2 $1 z *1 *2 $1 a ,1"),
        ("GEOADD g 13.361389 38.115556 Palermo", ":1"),
        ("GEOPOS g Palermo none", "*2 *2 ,13.361389338970184 ,38.1155563954963 _"),
        ("GEODIST g Palermo Palermo", "$6 0.0000"),
        ("GEODIST g Palermo none", "_"),
        ("GEOHASH g Palermo none", "*2 $11 sqc8b49rny0 _"),
        (
            "GEOSEARCH g FROMMEMBER Palermo BYRADIUS 1 m WITHDIST WITHHASH WITHCOORD",
            "*1 *4 $7 Palermo $6 0.0000 :3479099956230698 *2 ,13.361389338970184 ,38.1155563954963",
        ),
    ] {
        c.command(&command.split(' ').collect::<Vec<_>>());
        let mut reply = whole(&mut c);
        if command.starts_with("ZRANDMEMBER") && expected.starts_with('*') {
            // All members, in any order.
            let sorted = |text: &str| {
                let mut words: Vec<String> = text.split(" *2 ").map(str::to_string).collect();
                words[1..].sort();
                words.join(" *2 ")
            };
            reply = if sorted(&reply) == sorted(expected) { expected.to_string() } else { reply };
        }
        assert_eq!(reply, expected, "{command}");
    }
}

/// What a command publishes, each as `event key`.
fn events(c: &mut redis::Connection, ear: &mut RawClient, command: &str) -> String {
    run(c, command);
    run(c, "PUBLISH end end");
    let mut events = Vec::new();
    loop {
        let words: Vec<String> = (0..9).map(|_| ear.line()).collect();
        let (channel, message) = (&words[6], &words[8]);
        match channel.split_once(":") {
            Some((_, event)) => events.push(format!("{event} {message}")),
            None => return events.join(", "),
        }
    }
}

#[test]
fn changes_are_published_and_counted() {
    let server = TestServer::start(&["--notify-keyspace-events", "EAn"]);
    let mut c = server.client(false);
    let mut ear = server.raw();
    ear.command(&["PSUBSCRIBE", "*"]);
    (0..6).for_each(|_| drop(ear.line()));
    for (command, expected, changes) in [
        ("ZADD a 1 x 2 y 3 z", "new a, zadd a", 3.0),
        ("ZADD a 1 x", "", 0.0),
        ("ZADD a CH 5 x 2 y 9 w", "zadd a", 2.0),
        ("ZADD a INCR 1 x", "zincr a", 1.0),
        ("ZADD a NX 7 x", "", 0.0),
        ("ZINCRBY a 0 x", "", 0.0),
        ("ZINCRBY b 1 m", "new b, zincr b", 1.0),
        ("ZREM a none", "", 0.0),
        ("ZREM a x none", "zrem a", 1.0),
        ("ZREMRANGEBYRANK a 0 0", "zremrangebyrank a", 1.0),
        ("ZREMRANGEBYSCORE a 100 200", "", 0.0),
        ("ZREMRANGEBYSCORE a -inf +inf", "zremrangebyscore a, del a", 2.0),
        ("ZADD a 0 x 0 y 0 z", "new a, zadd a", 3.0),
        ("ZREMRANGEBYLEX a [x [y", "zremrangebylex a", 2.0),
        ("ZREM a z", "zrem a, del a", 1.0),
        ("ZADD a 1 x 2 y 3 z", "new a, zadd a", 3.0),
        ("ZUNIONSTORE d 2 a b", "new d, zunionstore d", 1.0),
        ("ZINTERSTORE d 1 a", "zinterstore d", 1.0),
        ("ZDIFFSTORE d 2 a a", "del d", 1.0),
        ("ZDIFFSTORE d 2 a a", "", 0.0),
        ("ZRANGESTORE d a 0 1", "new d, zrangestore d", 1.0),
        ("ZRANGESTORE d a 9 10", "del d", 1.0),
        ("ZRANGESTORE d none 0 1", "", 0.0),
        ("ZPOPMIN a", "zpopmin a", 1.0),
        ("ZPOPMAX a 0", "", 0.0),
        ("ZPOPMAX a 9", "zpopmax a, del a", 2.0),
        ("ZPOPMIN a", "", 0.0),
        ("ZADD a 1 x 2 y 3 z", "new a, zadd a", 3.0),
        ("ZMPOP 1 a MIN COUNT 2", "zpopmin a", 2.0),
        ("BZPOPMAX a 0", "zpopmax a, del a", 1.0),
        ("ZADD a 1 x 2 y 3 z", "new a, zadd a", 3.0),
        ("BZMPOP 0 1 a MIN COUNT 9", "zpopmin a, del a", 3.0),
        ("GEOADD g 15 37 p 15 38 q", "new g, zadd g", 2.0),
        ("GEOADD g 15 37 p", "", 0.0),
        ("GEOADD g CH 15 37.5 p", "zadd g", 1.0),
        ("GEORADIUS g 15 37 200 km STORE s", "new s, georadiusstore s", 2.0),
        ("GEOSEARCHSTORE s g FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST", "geosearchstore s", 2.0),
        ("GEORADIUS g 15 37 1 m STORE s", "del s", 1.0),
        ("GEOSEARCHSTORE s none FROMLONLAT 15 37 BYRADIUS 200 km", "", 0.0),
        ("SET d v", "new d, set d", 1.0),
        ("ZUNIONSTORE d 1 b", "zunionstore d", 1.0),
    ] {
        let before = server.info("rdb_changes_since_last_save");
        assert_eq!(events(&mut c, &mut ear, command), expected, "{command}");
        assert_eq!(server.info("rdb_changes_since_last_save") - before, changes, "{command}");
    }
}

#[test]
fn encodings_change_at_the_configured_limits() {
    let server = TestServer::start(&["--zset-max-listpack-entries", "3", "--zset-max-ziplist-value", "5"]);
    script(
        &mut server.client(false),
        "CONFIG GET zset-max-listpack-value -> [zset-max-listpack-value,5]
         ZADD z 1 a 2 b 3 c -> 3
         OBJECT ENCODING z -> listpack
         ZADD z 4 a -> 0
         OBJECT ENCODING z -> listpack
         ZADD z XX 4 toolong -> 0
         OBJECT ENCODING z -> listpack
         ZADD z 4 d -> 1
         OBJECT ENCODING z -> skiplist
         ZREM z a b c -> 3
         OBJECT ENCODING z -> skiplist
         ZADD y 1 seven77 -> 1
         OBJECT ENCODING y -> skiplist
         ZADD x 1 five5 -> 1
         OBJECT ENCODING x -> listpack
         ZADD x XX 1 five5 1 five5 1 five5 1 five5 -> 0
         OBJECT ENCODING x -> skiplist
         ZADD w 1 a 2 b 3 c 4 d -> 4
         OBJECT ENCODING w -> skiplist
         ZUNIONSTORE u 1 w -> 4
         OBJECT ENCODING u -> skiplist
         ZREM w a -> 1
         ZUNIONSTORE u 1 w -> 3
         OBJECT ENCODING u -> listpack
         ZUNIONSTORE u 1 y -> 1
         OBJECT ENCODING u -> skiplist
         ZRANGESTORE u w 0 -1 -> 3
         OBJECT ENCODING u -> listpack
         COPY w copy -> 1
         OBJECT ENCODING copy -> skiplist
         ZRANGE copy 0 -1 WITHSCORES -> [b,2,c,3,d,4]
         ZREM w b -> 1
         ZCARD copy -> 3
         GEOADD g 1 1 a 2 2 b -> 2
         OBJECT ENCODING g -> listpack
         GEOADD g 3 3 c 4 4 d -> 2
         OBJECT ENCODING g -> skiplist
         GEOSEARCHSTORE u g FROMLONLAT 1 1 BYRADIUS 200 km -> 2
         OBJECT ENCODING u -> listpack",
    );
}

#[test]
fn a_negative_offset_counts_from_the_other_end_of_a_large_set() {
    let server = TestServer::start(&["--zset-max-listpack-entries", "0"]);
    script(
        &mut server.client(false),
        "ZADD z 1 a 2 b 3 c 4 d -> 4
         ZRANGEBYSCORE z -inf +inf LIMIT -2 10 -> [c,d]
         ZREVRANGEBYSCORE z +inf -inf LIMIT -3 2 -> [c,b]
         ZRANGEBYSCORE z -inf +inf LIMIT -5 10 -> []",
    );
}

#[test]
fn a_large_set_is_scanned_once_from_end_to_end() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let mut expected = BTreeMap::new();
    for number in 0..3000u32 {
        let score = number * 7919 % 1000;
        let member = format!("member:{number}");
        redis::cmd("ZADD").arg("z").arg(score).arg(&member).exec(&mut c).unwrap();
        expected.insert(member, score);
    }
    let mut found = BTreeMap::new();
    let mut cursor = 0u64;
    loop {
        let (next, page): (u64, Vec<(String, u32)>) =
            redis::cmd("ZSCAN").arg("z").arg(cursor).arg("COUNT").arg(100).query(&mut c).unwrap();
        found.extend(page);
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(found, expected);
    let mut sorted: Vec<(u32, &String)> = expected.iter().map(|(member, score)| (*score, member)).collect();
    sorted.sort();
    let all: Vec<String> = redis::cmd("ZRANGE").arg("z").arg(0).arg(-1).query(&mut c).unwrap();
    assert!(all.iter().eq(sorted.iter().map(|(_, member)| *member)));
    for (rank, (_, member)) in sorted.iter().enumerate().step_by(97) {
        let found: usize = redis::cmd("ZRANK").arg("z").arg(member).query(&mut c).unwrap();
        assert_eq!(found, rank);
    }
    let in_range = sorted.iter().filter(|(score, _)| (250..500).contains(score)).count();
    script(
        &mut c,
        &format!(
            "OBJECT ENCODING z -> skiplist
             ZCOUNT z 250 (500 -> {in_range}
             ZREMRANGEBYSCORE z 250 (500 -> {in_range}
             ZCARD z -> {}
             ZRANDMEMBER z 0 -> []",
            3000 - in_range
        ),
    );
    let drawn: Vec<String> = redis::cmd("ZRANDMEMBER").arg("z").arg(1000).query(&mut c).unwrap();
    let distinct: std::collections::BTreeSet<&String> = drawn.iter().collect();
    assert_eq!(distinct.len(), 1000);
    assert!(drawn.iter().all(|member| expected.contains_key(member)));
}

#[test]
fn waiting_clients_are_served_in_order() {
    let server = TestServer::start(&[]);
    let mut c = server.client(false);
    let commands = [
        "BZPOPMIN z 0",
        "BZPOPMAX none z 0",
        "BZMPOP 0 2 none z MIN COUNT 2",
        "BZPOPMIN z 0",
        "BZPOPMIN z 0",
    ];
    let mut waiting: Vec<RawClient> = commands.iter().map(|_| server.raw()).collect();
    for (number, (client, command)) in waiting.iter_mut().zip(commands).enumerate() {
        client.command(&command.split(' ').collect::<Vec<_>>());
        wait_for("the client to wait", || server.info("blocked_clients") == number as f64 + 1.0);
    }
    // Another type is not what they wait for; a set that is gone again is not either.
    script(
        &mut c,
        "SADD z x -> 1\nDEL z -> 1\nMULTI -> OK\nZADD z 1 a -> QUEUED\nDEL z -> QUEUED\nEXEC -> [1,1]",
    );
    assert_eq!(server.info("blocked_clients"), 5.0);
    assert_eq!(run(&mut c, "ZADD z 1 a 2 b 3 c 4 d 5 e"), "5");
    let mut replies = waiting.iter_mut().map(whole);
    assert_eq!(replies.next().unwrap(), "*3 $1 z $1 a $1 1");
    assert_eq!(replies.next().unwrap(), "*3 $1 z $1 e $1 5");
    assert_eq!(replies.next().unwrap(), "*2 $1 z *2 *2 $1 b $1 2 *2 $1 c $1 3");
    assert_eq!(replies.next().unwrap(), "*3 $1 z $1 d $1 4");
    drop(replies);
    assert_eq!(server.info("blocked_clients"), 1.0);
    script(&mut c, "ZADD y 1 a -> 1\nZUNIONSTORE z 1 y -> 1\nEXISTS z -> 0");
    assert_eq!(whole(&mut waiting[4]), "*3 $1 z $1 a $1 1");
}

#[test]
fn nothing_waits_within_a_transaction() {
    let server = TestServer::start(&[]);
    script(
        &mut server.client(false),
        "MULTI -> OK
         BZPOPMIN z 0 -> QUEUED
         BZMPOP 0 1 z MAX -> QUEUED
         ZADD z 1 a -> QUEUED
         BZPOPMAX z 0 -> QUEUED
         EXEC -> [nil,nil,1,[z,a,1]]",
    );
}

#[test]
fn of_places_at_one_distance_those_are_shown_that_upstream_shows() {
    check(
        "GEOADD t 15 37 a 15 37 b 15 37 c 15 37 d 15 37 e 15 37 f 15 37 g 15 37 h 15 37 i 15 37 j 15.1 37 k -> 11
         GEOSEARCH t FROMLONLAT 15 37 BYRADIUS 100 km COUNT 4 -> [a,b,c,d]
         GEOSEARCH t FROMLONLAT 15 37 BYRADIUS 100 km COUNT 4 DESC -> [k,b,c,d]
         GEOSEARCH t FROMLONLAT 15 37 BYRADIUS 100 km ASC -> [a,b,c,d,e,f,g,h,i,j,k]",
    );
}
