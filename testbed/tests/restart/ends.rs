//! Ends, refusals and floods: nobody is left hanging.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use testbed::controller::Controller;
use testbed::error::LabError;
use testbed::faults::{Chances, Faults};
use testbed::host::Frame;
use testbed::wait::{Look, SetOnDrop, until};

use super::ring::{Checked, LIMIT, Ring};

/// A change that waits for a switch which never confirms is answered all the same, and the end waits for nobody.
#[test]
fn a_change_under_way_is_answered_before_the_end_whatever_others_do() -> Checked {
    let controller = Controller::start(([127, 0, 0, 1], 0).into())?;
    let ring = Ring::begin(&controller)?;
    controller.create_network("red")?;
    let address = controller.rest().address();
    // Neither of these two ever says or takes anything more.
    let mut half = TcpStream::connect(address).unwrap();
    half.write_all(b"POST /api/v1/networks HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n")
        .unwrap();
    let switch = TcpStream::connect(controller.openflow()).unwrap();
    ring.switches[0].set_faults(Faults::random(1, Chances { drop: 1000, ..Chances::default() }));

    let mut waiting = TcpStream::connect(address).unwrap();
    waiting
        .write_all(
            b"PUT /api/v1/networks/red/ports/s1/1?timeout=60s HTTP/1.1\r\nhost: localhost\r\n\
              content-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
        )
        .unwrap();
    until("the change to be stored", LIMIT, || {
        let answer = controller.rest().get("/api/v1/networks/red")?;
        let stored = answer.body["ports"] == json!(1);
        Ok(if stored { Look::Done(()) } else { Look::NotYet(answer.to_string()) })
    })?;
    let begin = Instant::now();
    let controller = controller.restart()?;
    // 5 s are promised; the start of the next one is in it, on whatever machine this is.
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(answer.contains("s1"), "it says what is waited for: {answer}");
    let answer = controller.rest().get("/api/v1/networks/red")?;
    assert_eq!(answer.body["ports"], json!(1), "{answer}");
    drop((half, switch));
    Ok(())
}

#[test]
fn a_second_controller_on_the_same_folder_is_refused_and_names_the_first() -> Checked {
    let controller = Controller::start(([127, 0, 0, 1], 0).into())?;
    let folder = controller.data_dir();
    let program = PathBuf::from(format!("/proc/{}/exe", controller.pid()));
    let second = Command::new(std::fs::read_link(program).unwrap())
        .args(["serve", "--http", "127.0.0.1:0", "--openflow", "127.0.0.1:0", "--data-dir"])
        .arg(&folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains(&format!("process {}", controller.pid())), "{said}");
    assert!(said.contains("in use") && said.contains("--data-dir"), "{said}");
    controller.create_network("red")
}

/// One host shows new sources without end. Others' links stay, others' hosts are learnt, changes are answered.
#[test]
fn a_flood_from_one_switch_takes_nothing_from_the_others() -> Checked {
    let controller = Controller::start(([127, 0, 0, 1], 0).into())?;
    let ring = Ring::begin(&controller)?;
    controller.create_network("loud")?;
    controller.attach("loud", "s1", "2")?;
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0_u32;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for _ in 0..10 {
                    n += 1;
                    let [_, a, b, c] = n.to_be_bytes();
                    let frame = Frame::probe([0xff; 6], [2, 0xee, 9, a, b, c], 1);
                    drop(ring.fabric.send((1, 2), frame.bytes().to_vec()));
                    // The same as announcements, which are forged.
                    let lldp = Frame::new([1, 0x80, 0xc2, 0, 0, 0xe], [2; 6], 0x88cc, &[0; 60]);
                    drop(ring.fabric.send((1, 1), lldp.bytes().to_vec()));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let _stopping = SetOnDrop(&stop);
        (|| {
            for round in 0..5 {
                let network = format!("calm-{round}");
                controller.create_network(&network)?;
                controller.attach(&network, "s2", "1")?;
                controller.attach(&network, "s3", "1")?;
                let frame = Frame::probe([0xff; 6], super::ring::mac(2), round);
                let heard = ring.fabric.send((2, 1), frame.bytes().to_vec());
                assert_eq!(heard.places(), [(3, 1).into()]);
                controller.wait_for_host(&network, super::ring::mac(2), "p1")?;
                controller.delete_network(&network, true)?;
                let links = controller.links()?;
                assert!(links.iter().filter(|link| link.up).count() == 3, "{links:?}");
            }
            Checked::Ok(())
        })()
    })
}

/// Each line of the log is an object for machines, if that is wanted, and plain text in a file otherwise.
#[test]
fn the_log_is_written_as_whoever_reads_it_wants() -> Checked {
    let log_of = |arguments: &[&str]| -> Result<String, LabError> {
        let controller = Controller::start_with(([127, 0, 0, 1], 0).into(), arguments)?;
        controller.create_network("red")?;
        let log = controller.log();
        controller.stop()?;
        Ok(log)
    };
    let text = log_of(&[])?;
    assert!(text.contains("network=red") && !text.contains('\u{1b}'), "{text}");
    let json = log_of(&["--log-format", "json"])?;
    let lines: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().any(|line| line["fields"]["network"] == "red"), "{json}");
    Ok(())
}
