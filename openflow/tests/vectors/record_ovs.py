#!/usr/bin/env python3
"""Records real sessions between ovs-ofctl and ovs-vswitchd as `ovs_session.hex`.

    sudo tests/vectors/record_ovs.py > tests/vectors/ovs_session.hex

Starts an own Open vSwitch (userspace datapath, in a temporary folder), talks to it
with ovs-ofctl through a proxy, and writes each distinct message once: who sent it
during which command, and its bytes. Needs openvswitch-switch and root.
"""

import os, re, select, shutil, socket, struct, subprocess, sys, tempfile, threading, time

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
if "RECORD_OVS" not in os.environ:
    # A network namespace of its own takes the bridge's devices with it.
    os.environ["RECORD_OVS"] = "1"
    os.execvp("unshare", ["unshare", "--net", sys.executable, os.path.abspath(__file__)])
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

run = tempfile.mkdtemp(prefix="record-ovs-")
env = dict(os.environ, OVS_RUNDIR=run, OVS_LOGDIR=run, OVS_DBDIR=run)
daemons = []
seen, lines, label = set(), [], "start"
lock = threading.Lock()


def sh(*command, check=True):
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if check and done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return done


def start():
    sh("ovsdb-tool", "create", f"{run}/conf.db", SCHEMA)
    daemons.append(subprocess.Popen(["ovsdb-server", f"{run}/conf.db", f"--remote=punix:{run}/db.sock",
                                     f"--unixctl={run}/ovsdb.ctl", "--log-file=/dev/null"], env=env,
                                    stderr=subprocess.DEVNULL))
    while not os.path.exists(f"{run}/db.sock"):
        time.sleep(0.02)
    sh("ovs-vsctl", f"--db=unix:{run}/db.sock", "--no-wait", "init")
    daemons.append(subprocess.Popen(["ovs-vswitchd", f"unix:{run}/db.sock", "--disable-system",
                                     f"--unixctl={run}/vswitchd.ctl", "--log-file=/dev/null"], env=env,
                                    stderr=subprocess.DEVNULL))
    vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
          "protocols=OpenFlow13", "fail_mode=secure", "other-config:datapath-id=00000000000a11ce",
          "other-config:dp-desc=worker-1")
    for n in (1, 2, 3):
        vsctl("add-port", "br0", f"rec{n}", "--", "set", "interface", f"rec{n}", "type=internal",
              f"ofport_request={n}")
    vsctl("set-controller", "br0", f"ptcp:{SWITCH}:127.0.0.1")


def vsctl(*command):
    sh("ovs-vsctl", f"--db=unix:{run}/db.sock", *command)


def record(direction, message):
    with lock:
        # The xid differs from run to run and adds nothing.
        key = message[:4] + message[8:]
        if key not in seen:
            seen.add(key)
            lines.append((label, direction, message))


def pump(source, sink, direction):
    held = b""
    while True:
        try:
            chunk = source.recv(65536)
        except OSError:
            chunk = b""
        if not chunk:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            return
        held += chunk
        while len(held) >= 8 and len(held) >= (length := struct.unpack("!H", held[2:4])[0]):
            record(direction, held[:length])
            held = held[length:]
        try:
            sink.sendall(chunk)
        except OSError:
            return


def proxy(listener):
    while True:
        client, _ = listener.accept()
        for _ in range(500):
            try:
                switch = socket.create_connection(("127.0.0.1", SWITCH))
                break
            except OSError:
                time.sleep(0.02)
        threading.Thread(target=pump, args=(client, switch, "controller"), daemon=True).start()
        threading.Thread(target=pump, args=(switch, client, "switch"), daemon=True).start()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


SWITCH = free_port()
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
TARGET = f"tcp:127.0.0.1:{listener.getsockname()[1]}"


def ofctl(command, *arguments):
    global label
    label = f"ovs-ofctl {command} {' '.join(arguments)}".strip()
    sh("ovs-ofctl", "-O", "OpenFlow13", command, TARGET, *arguments, check=False)


def raw(name, *messages):
    """Sends bytes of our own after a hello, ends with a barrier, waits for its reply."""
    global label
    label = name
    with socket.create_connection(listener.getsockname()) as peer:
        peer.sendall(bytes.fromhex("0400001000000001" "0001000800000010"))
        for message in messages:
            peer.sendall(bytes.fromhex(message))
        peer.sendall(bytes.fromhex("04140008000000fe"))
        held = b""
        while bytes.fromhex("04150008000000fe") not in held:
            chunk = peer.recv(65536)
            if not chunk:
                break
            held += chunk


FLOWS = """
priority=1,actions=NORMAL
table=1,priority=65535,cookie=0x1234,idle_timeout=60,hard_timeout=90,send_flow_rem,reset_counts,actions=drop
in_port=1,vlan_tci=0x1064/0x1fff,actions=strip_vlan,write_metadata:0xabcd/0xffff,goto_table:2
metadata=0x12/0xff,dl_src=02:00:00:00:00:01,actions=goto_table:3
table=2,metadata=0x12,dl_dst=02:00:00:00:00:02,actions=push_vlan:0x8100,set_field:4196->vlan_vid,output:2
table=2,metadata=0x12,actions=group:7
dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=ALL
dl_vlan=100,dl_vlan_pcp=5,actions=set_field:6->vlan_pcp,IN_PORT
vlan_tci=0,actions=FLOOD
vlan_tci=0x1000/0x1000,actions=LOCAL
tun_id=0x2a,actions=set_field:0x2b->tun_id,output:3
tun_id=0x2a00/0xff00,actions=CONTROLLER:128
ip,nw_src=10.0.0.0/8,nw_dst=10.1.2.3,nw_tos=184,nw_ecn=2,actions=dec_ttl,output:1
tcp,tp_src=1000,tp_dst=80,actions=set_field:8080->tcp_dst,set_field:81->tcp_src,output:1
udp,tp_src=53,tp_dst=5353,actions=set_field:54->udp_src,set_field:55->udp_dst,output:1
sctp,tp_src=9,tp_dst=10,actions=set_field:11->sctp_src,set_field:12->sctp_dst,output:1
icmp,icmp_type=8,icmp_code=0,actions=output:1
arp,arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.2,arp_sha=02:00:00:00:00:03,arp_tha=00:00:00:00:00:00,actions=set_field:2->arp_op,output:1
arp,arp_spa=10.0.0.0/255.255.0.0,arp_sha=02:00:00:00:00:00/ff:ff:ff:00:00:00,actions=set_field:10.0.0.9->arp_spa,set_field:02:00:00:00:00:09->arp_sha,set_field:10.0.0.8->arp_tpa,set_field:02:00:00:00:00:08->arp_tha,output:1
ipv6,ipv6_src=2001:db8::/32,ipv6_dst=fe80::1,ipv6_label=0x12345,actions=set_field:2001:db8::9->ipv6_dst,set_field:2001:db8::8->ipv6_src,set_field:0x54321->ipv6_label,output:1
icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::2,nd_sll=02:00:00:00:00:04,actions=output:1
icmp6,icmp_type=136,nd_target=fe80::3,nd_tll=02:00:00:00:00:05,actions=output:1
mpls,mpls_label=1000,mpls_tc=3,mpls_bos=1,actions=set_field:2000->mpls_label,set_field:4->mpls_tc,dec_mpls_ttl,set_mpls_ttl:60,pop_mpls:0x0800,output:1
ip,actions=push_mpls:0x8847,set_field:77->mpls_label,output:2
ip,nw_src=10.9.0.0/16,actions=set_field:10.0.0.1->ip_src,set_field:10.0.0.2->ip_dst,set_field:46->ip_dscp,set_field:1->nw_ecn,mod_nw_ttl:17,output:2
ip,nw_proto=47,actions=set_field:02:00:00:00:00:07->eth_src,set_field:02:00:00:00:00:08->eth_dst,set_queue:5,output:2
dl_type=0x88cc,actions=CONTROLLER:65535
ip,nw_src=10.10.0.0/16,actions=meter:3,write_actions(output:1,push_vlan:0x88a8,set_field:4106->vlan_vid),goto_table:9
ip,nw_src=10.11.0.0/16,actions=clear_actions,apply_actions(output:1),write_metadata:0x1,goto_table:4
in_port=LOCAL,tcp,tcp_flags=+syn-ack,actions=resubmit(,5),learn(table=6,NXM_OF_VLAN_TCI[0..11]),note:00.01
ct_state=+trk+new,ip,actions=ct(commit,zone=5),load:0x5->NXM_NX_REG0[]
dl_type=0x8847,reg3=0x7/0xff,actions=output:NXM_NX_REG0[]
""".strip().splitlines()

GROUPS = """
group_id=7,type=all,bucket=output:1,bucket=push_vlan:0x8100,set_field:4197->vlan_vid,output:2
group_id=8,type=select,bucket=weight:10,output:1,bucket=weight:20,output:2
group_id=9,type=indirect,bucket=group:7
group_id=10,type=ff,bucket=watch_port:1,output:1,bucket=watch_group:7,output:2
""".strip().splitlines()


def session():
    global label
    ofctl("show")
    ofctl("add-meter", "meter=3,kbps,burst,stats,band=type=drop,rate=1000,burst_size=100")
    ofctl("add-meter", "meter=4,pktps,bands=type=drop,rate=5")
    ofctl("add-meter", "meter=controller,pktps,burst,bands=type=drop,rate=500,burst_size=50")
    for group in GROUPS:
        ofctl("add-group", group)
    for flow in FLOWS:
        ofctl("add-flow", flow)
    for what in ("dump-flows", "dump-aggregate", "dump-tables", "dump-table-features", "dump-ports",
                 "dump-ports-desc", "dump-groups", "dump-group-stats", "dump-group-features", "meter-stats",
                 "dump-meters", "meter-features", "queue-stats", "queue-get-config", "get-frags", "probe"):
        ofctl(what)
    ofctl("dump-flows", "table=2,cookie=0x0/0xff,out_port=2")
    ofctl("dump-aggregate", "ip,out_group=7")
    ofctl("set-frags", "drop")
    ofctl("set-frags", "normal")
    ofctl("mod-port", "1", "down")
    ofctl("mod-port", "1", "up")
    ofctl("mod-port", "2", "no-flood")
    ofctl("mod-port", "2", "no-packet-in")
    ofctl("mod-table", "5", "evict")
    ofctl("mod-group", GROUPS[0].replace("output:1", "output:3"))
    ofctl("mod-meter", "meter=3,pktps,bands=type=drop,rate=7")
    ofctl("mod-flows", "table=2,metadata=0x12,actions=drop")
    ofctl("mod-flows", "--strict", "table=2,priority=5,metadata=0x12,actions=drop")
    ofctl("del-groups", "group_id=10")
    ofctl("del-meter", "meter=4")
    ofctl("add-flow", "actions=group:999")
    ofctl("add-flow", "check_overlap,in_port=1,actions=drop")
    ofctl("add-flow", "actions=output:1,meter:77")
    ofctl("packet-out", "in_port=1,packet=0200000000020200000000010800,actions=output:2")

    # Asynchronous messages, as a second connection sees them.
    label = "ovs-ofctl monitor"
    monitor = subprocess.Popen(["ovs-ofctl", "-O", "OpenFlow13", "-P", "standard", "monitor", TARGET, "65534"], env=env,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 10
    wanted = {"PACKET_IN", "FLOW_REMOVED", "PORT_STATUS"}
    time.sleep(0.3)
    sh("ovs-ofctl", "-O", "OpenFlow13", "packet-out", TARGET,
       "in_port=1,packet=02000000000202000000000181000064080045000014,actions=CONTROLLER")
    sh("ovs-ofctl", "-O", "OpenFlow13", "packet-out", TARGET,
       "in_port=2,packet=0180c200000e02000000000188cc0207,actions=table")
    sh("ovs-ofctl", "-O", "OpenFlow13", "add-flow", TARGET, "table=8,ip,nw_dst=10.2.0.0/16,send_flow_rem,actions=drop")
    sh("ovs-ofctl", "-O", "OpenFlow13", "del-flows", TARGET, "table=8")
    vsctl("add-port", "br0", "rec4", "--", "set", "interface", "rec4", "type=internal")
    vsctl("del-port", "br0", "rec4")
    while wanted and time.monotonic() < deadline:
        if select.select([monitor.stdout], [], [], 0.5)[0]:
            line = monitor.stdout.readline()
            wanted -= {kind for kind in wanted if re.search(kind, line)}
    monitor.terminate()
    monitor.wait()

    raw("echo", "04020008000000a1", "0402000c000000a201020304")
    raw("barrier", "04140008000000a3")
    raw("features, config", "04050008000000a4", "04070008000000a5", "0409000c000000a60000ffff")
    raw("roles", "04180018000000a7" "00000000" "00000000" "0000000000000000",
        "04180018000000a8" "00000002" "00000000" "0000000000000007",
        "04180018000000a9" "00000003" "00000000" "0000000000000006",
        "04180018000000aa" "00000003" "00000000" "0000000000000008",
        "040e0038000000ab" + "00" * 16 + "00" * 8 + "ff" * 12 + "00000000" "00010004" "00000000")
    raw("async", "041a0008000000ac",
        "041c0020000000ad" "00000003" "00000001" "00000007" "00000004" "0000000f" "00000008", "041a0008000000ae")
    raw("desc", "04120010000000af" "0000" "0000" "00000000")
    flow = "00" * 16 + "00" * 8 + "ff" * 12 + "00000000"
    raw("wrong requests",
        "0463000800000101",  # an unknown type
        "0412001000000102" "0063" "0000" "00000000",  # an unknown multipart
        "040e001000000103" "0000000000000000",  # a flow-mod that ends too early
        "0404001000000104" "0000feed" "00000001",  # an unknown experimenter
        "0416001000000105" "00000063" "00000000",  # queues of an unknown port
        "040d001800000106" "ffffffff" "fffffffd" "0008" "000000000000",  # actions beyond the end
        "0410002800000107" "00000063" + "00" * 28,  # an unknown port
        "040e003800000108" + flow + "00020004" "00000000",  # a match that isn't OXM
        "040e003800000109" + flow + "00010030" "00000000",  # a match beyond the end
        "040e00400000010a" + flow + "0001000b" "80000003" "000000" "0000000000",  # a field too short
        "040e00400000010b" + flow + "00010004" "00000000" "00010007" "00000000",  # an odd instruction
        "040e00480000010c" + flow + "00010004" "00000000" "00040010" "00000000" "0000000c" "00000000",  # an odd action
        "040e00480000010d" + flow + "00010004" "00000000" "00040010" "00000000" "00000018" "00000000",  # beyond
        "040e00480000010e" + flow + "00010004" "00000000" "00040010" "00000000" "00190010" "80000604",  # set-field beyond
        "040e00480000010f" + flow + "00010004" "00000000" "00020010" "00000000" "0000000000000000",  # short metadata
        "040f002000000110" "0000" "00" "00" "00000007" "0008" "0000" "00000000" "00000000" "00000000",  # a short bucket
        "041d001800000111" "0000" "0002" "00000063" "0001" "0008" "00000000",  # a short band
        "0405000c00000112" "00000000",  # more than a header
        "0418001000000113" "00000000" "00000000",  # a role without generation
        "0407001000000114" "0000000000000000",  # more than a header
        "0412001400000115" "000d" "0000" "00000000" "00000000",  # more than asked
        "0412001000000116" "0001" "0000" "00000000",  # a flow request without body
        "0402000800000117")
    ofctl("del-flows", "cookie=0x1234/-1")
    ofctl("del-flows")
    ofctl("del-groups")
    ofctl("del-meters")


try:
    start()
    threading.Thread(target=proxy, args=(listener,), daemon=True).start()
    session()
    version = sh("ovs-vswitchd", "--version").stdout.splitlines()[0]
    print(f"# Sessions between ovs-ofctl and {version}, recorded by record_ovs.py:")
    print("# the command, who sent it, the message. One of the many large table-features replies is kept.")
    large = [line for line in lines if line[2][:2] + line[2][8:10] == b"\x04\x13\x00\x0c"]
    for command, sender, message in lines:
        if all(message is not other[2] for other in large) or message is min((l[2] for l in large), key=len):
            print(f"{command} | {sender} | {message.hex()}")
finally:
    for daemon in daemons:
        daemon.terminate()
        daemon.wait()
    shutil.rmtree(run, ignore_errors=True)
