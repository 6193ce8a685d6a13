#!/usr/bin/env python3
"""The samples of ../samples, encoded by os-ken: what another implementation makes of them.

    pip install os-ken && tests/vectors/from_os_ken.py > tests/vectors/os_ken.hex

Messages that os-ken can't write (most of what switches send), and table features, in which it
leaves the lengths of match fields out, are in golden.hex.
"""

from os_ken.ofproto import ofproto_protocol, ofproto_v1_3 as of, ofproto_v1_3_parser as p

d = ofproto_protocol.ProtocolDesc(version=4)
MAC = "02:11:22:33:44:55"
FRAME = bytes.fromhex("0180c200000e02112233445588cc") + b"data"
out = []

def emit(name, message):
    message.set_xid(0x11223344)
    message.serialize()
    out.append(f"{name} | {bytes(message.buf).hex()}")

def sample_match():
    return p.OFPMatch(in_port=0x0305, metadata=(0x1122 << 48, 0xFFFF << 48), eth_dst=MAC, vlan_vid=0x1064)

def apply(actions):
    return p.OFPInstructionActions(of.OFPIT_APPLY_ACTIONS, actions)

def work():
    return [
        p.OFPInstructionMeter(0x0A0B),
        apply([p.OFPActionPushVlan(0x8100), p.OFPActionSetField(vlan_vid=0x1000 | 200), p.OFPActionOutput(0x0506, 0x0708)]),
        p.OFPInstructionWriteMetadata(0x0102030405060708, 0x0FFFFFFFFFFFFFFF),
        p.OFPInstructionGotoTable(7),
    ]

# Messages.
emit("error.experimenter", p.OFPErrorExperimenterMsg(d, exp_type=0x0102, experimenter=0x03040506, data=b"what was wrong"))
emit("echo_request", p.OFPEchoRequest(d, b"are you there"))
emit("echo_reply", p.OFPEchoReply(d, b"are you there"))
emit("experimenter", p.OFPExperimenter(d, 0x01020304, 0x05060708, b"something else"))
emit("features_request", p.OFPFeaturesRequest(d))
emit("get_config_request", p.OFPGetConfigRequest(d))
emit("set_config", p.OFPSetConfig(d, of.OFPC_FRAG_REASM, 0x1234))
emit("packet_out", p.OFPPacketOut(d, of.OFP_NO_BUFFER, of.OFPP_CONTROLLER,
                                  [p.OFPActionPushVlan(0x8100), p.OFPActionOutput(0x0506, 0x0708)], FRAME))
emit("flow_mod", p.OFPFlowMod(d, 0x0102030405060708, 0x1112131415161718, 3, of.OFPFC_DELETE_STRICT, 0x2122, 0x2324,
                              0x2526, 0x2728292A, 0x2D2E, 0x31323334,
                              of.OFPFF_SEND_FLOW_REM | of.OFPFF_NO_BYT_COUNTS, sample_match(), work()))
emit("group_mod", p.OFPGroupMod(d, of.OFPGC_MODIFY, of.OFPGT_SELECT, 0x01020304, [
    p.OFPBucket(0x0506, 0x090A, 0x0B0C0D0E, [p.OFPActionOutput(0x1112, 0xFFFF), p.OFPActionPopVlan()]),
    p.OFPBucket(0x0F10, of.OFPP_ANY, of.OFPG_ANY, []),
]))
emit("port_mod", p.OFPPortMod(d, 0x0304, MAC, of.OFPPC_NO_RECV, of.OFPPC_NO_RECV | of.OFPPC_NO_PACKET_IN,
                              of.OFPPF_40GB_FD | of.OFPPF_AUTONEG))
emit("table_mod", p.OFPTableMod(d, 9, 3))
emit("barrier_request", p.OFPBarrierRequest(d))
emit("barrier_reply", p.OFPBarrierReply(d))
emit("queue_get_config_request", p.OFPQueueGetConfigRequest(d, 0x0304))
emit("role_request", p.OFPRoleRequest(d, of.OFPCR_ROLE_MASTER, 0x0102030405060708))
emit("get_async_request", p.OFPGetAsyncRequest(d))
emit("set_async", p.OFPSetAsync(d, [1, 2], [3, 4], [5, 6]))
emit("meter_mod", p.OFPMeterMod(d, of.OFPMC_MODIFY, of.OFPMF_KBPS | of.OFPMF_BURST | of.OFPMF_STATS, 0x0102,
                                [p.OFPMeterBandDrop(0x0304, 0x0506), p.OFPMeterBandDscpRemark(0x0708, 0x090A, 1)]))

# Multipart requests.
flows = (0x0B, 0x0304, 0x05060708, 0x1112131415161718, 0x2122232425262728)
emit("multipart_request.desc", p.OFPDescStatsRequest(d))
emit("multipart_request.flow", p.OFPFlowStatsRequest(d, 0, *flows, sample_match()))
emit("multipart_request.aggregate", p.OFPAggregateStatsRequest(d, 0, *flows, sample_match()))
emit("multipart_request.table", p.OFPTableStatsRequest(d))
emit("multipart_request.port_stats", p.OFPPortStatsRequest(d, 0, 0x0304))
emit("multipart_request.queue", p.OFPQueueStatsRequest(d, 0, 0x0304, 0x05060708))
emit("multipart_request.group", p.OFPGroupStatsRequest(d, 0, 0x01020304))
emit("multipart_request.group_desc", p.OFPGroupDescStatsRequest(d))
emit("multipart_request.group_features", p.OFPGroupFeaturesStatsRequest(d))
emit("multipart_request.meter", p.OFPMeterStatsRequest(d, 0, 0x01020304))
emit("multipart_request.meter_config", p.OFPMeterConfigStatsRequest(d, 0, 0x01020304))
emit("multipart_request.meter_features", p.OFPMeterFeaturesStatsRequest(d))
emit("multipart_request.port_desc", p.OFPPortDescStatsRequest(d))
emit("multipart_request.experimenter", p.OFPExperimenterStatsRequest(d, 0, 0x01020304, 0x05060708, b"whatever"))

# Errors.
prefixes = dict(HELLO_FAILED="OFPHFC", BAD_REQUEST="OFPBRC", BAD_ACTION="OFPBAC", BAD_INSTRUCTION="OFPBIC",
                BAD_MATCH="OFPBMC", FLOW_MOD_FAILED="OFPFMFC", GROUP_MOD_FAILED="OFPGMFC", PORT_MOD_FAILED="OFPPMFC",
                TABLE_MOD_FAILED="OFPTMFC", QUEUE_OP_FAILED="OFPQOFC", SWITCH_CONFIG_FAILED="OFPSCFC",
                ROLE_REQUEST_FAILED="OFPRRFC", METER_MOD_FAILED="OFPMMFC", TABLE_FEATURES_FAILED="OFPTFFC")
for kind, prefix in prefixes.items():
    for code in sorted((value, name) for name, value in vars(of).items() if name.startswith(prefix + "_")):
        emit(f"error.{code[1]}", p.OFPErrorMsg(d, getattr(of, f"OFPET_{kind}"), code[0], b"what was wrong"))

# Fields, behind their prerequisites.
V6, NET6 = "2001:db8:0:1:2:3:4:5", "ffff:ffff::"
IP, V6P, ARP = dict(eth_type=0x0800), dict(eth_type=0x86DD), dict(eth_type=0x0806)
proto = lambda n, base=IP: dict(base, ip_proto=n)
FIELDS = {
    "in_port": dict(in_port=0x0304),
    "in_phy_port": dict(in_port=0x0304, in_phy_port=0x0708),
    "metadata": dict(metadata=0x0102030405060708),
    "metadata.masked": dict(metadata=(0x0102000000000008, 0xFFFF00000000000F)),
    "eth_dst": dict(eth_dst=MAC),
    "eth_dst.masked": dict(eth_dst=("01:00:00:00:00:00", "01:00:00:00:00:00")),
    "eth_src": dict(eth_src=MAC),
    "eth_src.masked": dict(eth_src=("02:11:22:00:00:00", "ff:ff:ff:00:00:00")),
    "eth_type": dict(eth_type=0x88CC),
    "vlan_vid": dict(vlan_vid=0x1A64),
    "vlan_vid.none": dict(vlan_vid=0),
    "vlan_vid.masked": dict(vlan_vid=(0x1000, 0x1000)),
    "vlan_pcp": dict(vlan_vid=0x1064, vlan_pcp=5),
    "ip_dscp": dict(IP, ip_dscp=46),
    "ip_ecn": dict(IP, ip_ecn=2),
    "ip_proto": proto(47),
    "ipv4_src": dict(IP, ipv4_src="10.1.2.3"),
    "ipv4_src.masked": dict(IP, ipv4_src=("10.1.0.0", "255.255.0.0")),
    "ipv4_dst": dict(IP, ipv4_dst="10.1.2.4"),
    "ipv4_dst.masked": dict(IP, ipv4_dst=("10.0.0.0", "255.0.0.0")),
    "tcp_src": dict(proto(6), tcp_src=0x0102),
    "tcp_dst": dict(proto(6), tcp_dst=0x0103),
    "udp_src": dict(proto(17), udp_src=0x0104),
    "udp_dst": dict(proto(17), udp_dst=0x0105),
    "sctp_src": dict(proto(132), sctp_src=0x0106),
    "sctp_dst": dict(proto(132), sctp_dst=0x0107),
    "icmpv4_type": dict(proto(1), icmpv4_type=8),
    "icmpv4_code": dict(proto(1), icmpv4_code=3),
    "arp_op": dict(ARP, arp_op=2),
    "arp_spa": dict(ARP, arp_spa="10.1.2.5"),
    "arp_spa.masked": dict(ARP, arp_spa=("10.1.2.0", "255.255.255.0")),
    "arp_tpa": dict(ARP, arp_tpa="10.1.2.6"),
    "arp_tpa.masked": dict(ARP, arp_tpa=("10.1.0.0", "255.255.0.0")),
    "arp_sha": dict(ARP, arp_sha=MAC),
    "arp_sha.masked": dict(ARP, arp_sha=("02:11:00:00:00:00", "ff:ff:00:00:00:00")),
    "arp_tha": dict(ARP, arp_tha="02:00:00:00:00:01"),
    "arp_tha.masked": dict(ARP, arp_tha=("02:00:00:00:00:00", "ff:00:00:00:00:00")),
    "ipv6_src": dict(V6P, ipv6_src=V6),
    "ipv6_src.masked": dict(V6P, ipv6_src=("2001:db8::", NET6)),
    "ipv6_dst": dict(V6P, ipv6_dst=V6),
    "ipv6_dst.masked": dict(V6P, ipv6_dst=("2001:db8::", NET6)),
    "ipv6_flabel": dict(V6P, ipv6_flabel=0x12345),
    "ipv6_flabel.masked": dict(V6P, ipv6_flabel=(0x12300, 0xFFF00)),
    "icmpv6_type": dict(proto(58, V6P), icmpv6_type=128),
    "icmpv6_code": dict(proto(58, V6P), icmpv6_code=4),
    "ipv6_nd_target": dict(proto(58, V6P), icmpv6_type=135, ipv6_nd_target=V6),
    "ipv6_nd_sll": dict(proto(58, V6P), icmpv6_type=135, ipv6_nd_sll=MAC),
    "ipv6_nd_tll": dict(proto(58, V6P), icmpv6_type=136, ipv6_nd_tll=MAC),
    "mpls_label": dict(eth_type=0x8847, mpls_label=0x12345),
    "mpls_tc": dict(eth_type=0x8847, mpls_tc=6),
    "mpls_bos": dict(eth_type=0x8847, mpls_bos=1),
    "pbb_isid": dict(eth_type=0x88E7, pbb_isid=0x010203),
    "pbb_isid.masked": dict(eth_type=0x88E7, pbb_isid=(0x010200, 0xFFFF00)),
    "tunnel_id": dict(tunnel_id=0x0102030405060708),
    "tunnel_id.masked": dict(tunnel_id=(0x0200, 0xFF00)),
    "ipv6_exthdr": dict(V6P, ipv6_exthdr=0x0181),
    "ipv6_exthdr.masked": dict(V6P, ipv6_exthdr=(0x40, 0xC0)),
}

def flow(match, instructions):
    return p.OFPFlowMod(d, table_id=1, priority=0, out_port=of.OFPP_ANY, out_group=of.OFPG_ANY,
                        match=p.OFPMatch(**match), instructions=instructions)

for name, fields in FIELDS.items():
    emit(f"field.{name}", flow(fields, []))

MPLS = dict(eth_type=0x8847)
for name, match, action in [
    ("output", {}, p.OFPActionOutput(0x0304, 0x0506)),
    ("output.controller", {}, p.OFPActionOutput(of.OFPP_CONTROLLER, 128)),
    ("copy_ttl_out", MPLS, p.OFPActionCopyTtlOut()),
    ("copy_ttl_in", MPLS, p.OFPActionCopyTtlIn()),
    ("set_mpls_ttl", MPLS, p.OFPActionSetMplsTtl(61)),
    ("dec_mpls_ttl", MPLS, p.OFPActionDecMplsTtl()),
    ("push_vlan", {}, p.OFPActionPushVlan(0x88A8)),
    ("pop_vlan", dict(vlan_vid=(0x1000, 0x1000)), p.OFPActionPopVlan()),
    ("push_mpls", IP, p.OFPActionPushMpls(0x8848)),
    ("pop_mpls", MPLS, p.OFPActionPopMpls(0x0800)),
    ("set_queue", {}, p.OFPActionSetQueue(0x01020304)),
    ("group", {}, p.OFPActionGroup(0x01020304)),
    ("set_nw_ttl", IP, p.OFPActionSetNwTtl(62)),
    ("dec_nw_ttl", IP, p.OFPActionDecNwTtl()),
    ("set_field", {}, p.OFPActionSetField(eth_src=MAC)),
    ("push_pbb", {}, p.OFPActionPushPbb(0x88E7)),
    ("pop_pbb", dict(eth_type=0x88E7), p.OFPActionPopPbb()),
    ("experimenter", {}, p.OFPActionExperimenterUnknown(0x01020304, b"whatever")),
]:
    emit(f"action.{name}", flow(match, [apply([action])]))

pair = lambda: [p.OFPActionPushVlan(0x8100), p.OFPActionOutput(0x0506, 0xFFFF)]
for name, instruction in [
    ("goto_table", p.OFPInstructionGotoTable(9)),
    ("write_metadata", p.OFPInstructionWriteMetadata(0x0102030405060708, 0x0FFFFFFFFFFFFFFF)),
    ("write_actions", p.OFPInstructionActions(of.OFPIT_WRITE_ACTIONS, pair())),
    ("apply_actions", p.OFPInstructionActions(of.OFPIT_APPLY_ACTIONS, pair())),
    ("clear_actions", p.OFPInstructionActions(of.OFPIT_CLEAR_ACTIONS, [])),
    ("meter", p.OFPInstructionMeter(0x01020304)),
]:
    emit(f"instruction.{name}", flow({}, [instruction]))

def bucket(port, weight=0, watch=of.OFPP_ANY):
    return p.OFPBucket(weight, watch, of.OFPG_ANY, [p.OFPActionOutput(port, 0xFFFF)])

for name, command, kind, group, buckets in [
    ("all", of.OFPGC_ADD, of.OFPGT_ALL, 7, [bucket(3), bucket(4)]),
    ("select", of.OFPGC_ADD, of.OFPGT_SELECT, 8, [bucket(3, 10)]),
    ("indirect", of.OFPGC_ADD, of.OFPGT_INDIRECT, 9, [bucket(3)]),
    ("fast_failover", of.OFPGC_ADD, of.OFPGT_FF, 10, [bucket(3, 0, 3)]),
    ("modify", of.OFPGC_MODIFY, of.OFPGT_ALL, 7, [bucket(3)]),
    ("delete", of.OFPGC_DELETE, of.OFPGT_ALL, of.OFPG_ALL, []),
]:
    emit(f"group.{name}", p.OFPGroupMod(d, command, kind, group, buckets))

for name, band in [
    ("drop", p.OFPMeterBandDrop(1000, 100)),
    ("dscp_remark", p.OFPMeterBandDscpRemark(2000, 200, 2)),
    ("experimenter", p.OFPMeterBandExperimenter(3000, 300, 0x01020304)),
]:
    emit(f"band.{name}", p.OFPMeterMod(d, of.OFPMC_ADD, of.OFPMF_PKTPS | of.OFPMF_BURST, 9, [band]))

print("# Samples, as os-ken writes them; made by from_os_ken.py. Which one | the message.")
print("\n".join(out))
