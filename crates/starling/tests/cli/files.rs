//! Files that are missing, unreadable, or something else than they should be.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    harness::{Home, WAITING, elf, guest, input},
    jobs::executed_client,
};

/// What may be handed in instead of a guest, and the words that its error must have.
fn wrong_guests(home: &Home) -> Vec<(String, Vec<&'static str>)> {
    let good = fs::read(guest("sha-chain")).unwrap();
    let mut riscv_elf = elf(&[0x13]);
    // Not an executable, but an object.
    riscv_elf[16] = 1;
    vec![
        ("missing.bin".into(), vec!["missing.bin", "No such file"]),
        (home.path().to_str().unwrap().into(), vec!["is a directory"]),
        (home.write("empty.bin", b""), vec!["empty.bin", "is empty"]),
        (home.write("cut.bin", &good[..5000]), vec!["cut.bin", "cut off", "118208 bytes", "4968"]),
        (home.write("cut-kernel.bin", &good[..good.len() - 1]), vec!["cut off", "kernel"]),
        (
            home.write("riscv.elf", &riscv_elf),
            vec!["riscv.elf", "not an executable for 32-bit RISC-V"],
        ),
        (
            home.write("guest.gz", b"\x1f\x8b\x08\0"),
            vec!["compressed with gzip", "`gzip -dk FILE`"],
        ),
        (home.write("host.elf", b"\x7fELF\x02\x01\x01"), vec!["another machine"]),
        (home.write("guest.txt", b"fn main() {}"), vec!["looks like text"]),
        (home.write("noise.bin", &[0x9d; 4096]), vec!["not a RISC Zero program binary"]),
    ]
}

#[test]
fn a_file_that_is_no_guest_is_told_by_what_it_is() {
    let home = Home::new();
    for (path, texts) in wrong_guests(&home) {
        for command in ["prove", "execute"] {
            home.run(&[command, &path]).fails(2, &texts);
        }
    }
    assert!(home.jobs().is_empty());
}

#[test]
fn a_guest_with_another_kernel_runs_with_a_word_and_one_without_is_packed_with_a_word() {
    let home = Home::new();
    let mut bytes = fs::read(guest("fail")).unwrap();
    // Behind what is loaded of it.
    bytes.extend(b"another");
    let (other, ok) = (home.write("other.bin", &bytes), input("fail-ok"));
    let run = |guest: &str| home.run(&["execute", guest, "--input", &ok, "--json"]);
    let ran = run(&other);
    assert_eq!(ran.json()["journal"], "6f6b");
    let told = "a kernel that is not known here (SHA-256 ";
    assert_eq!(ran.stderr.matches(told).count(), 1, "{ran:#?}");
    assert!(ran.stderr.contains("risc0-build 3.0.0 and 3.0.1, 3.0.2, 3.0.3 to 3.0.6"), "{ran:#?}");
    assert!(!run(&guest("fail")).stderr.contains("kernel"));

    // The program of a guest, as its linker wrote it: behind the header, whose size is the third word, and its own size.
    let bytes = fs::read(guest("fail")).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let begin = 12 + word(8) + 4;
    let bare = home.write("bare.elf", &bytes[begin..begin + word(begin - 4)]);
    let ran = run(&bare);
    assert_eq!(ran.json()["journal"], "6f6b");
    let image_id = home.run(&["inspect", &guest("fail"), "--json"]).json()["image_id"].clone();
    let told = format!("which gives the image id {}", image_id.as_str().unwrap());
    assert_eq!(ran.stderr.matches(&told).count(), 1, "{ran:#?}");
    let ran = home.prove(&[&bare, "--input", &ok]);
    ran.fails(4, &[]);
    assert_eq!(ran.stderr.matches(&told).count(), 1, "{ran:#?}");
    assert_eq!(home.jobs()[0]["image_id"], image_id);
    let shown = home.run(&["inspect", &bare, "--json"]).json();
    assert_eq!(shown["kernel"], "that of risc0-build 3.0.3 to 3.0.6 and 3.1.0-rc.1");
}

#[test]
fn an_input_that_cannot_be_read_is_named() {
    let home = Home::new();
    for command in ["prove", "execute"] {
        let guest = guest("sha-chain");
        home.run(&[command, &guest, "--input", "gone"]).fails(2, &["input gone", "No such file"]);
        home.run(&[command, &guest, "--input", "/"]).fails(2, &["input /", "is a directory"]);
    }
    assert!(home.jobs().is_empty());
}

#[test]
fn a_receipt_that_could_not_be_written_is_refused_before_work_starts() {
    let home = Home::new();
    let (guest, input) = (guest("sha-chain"), input("sha-chain-100"));
    for (path, text) in [("gone/a.receipt", "does not exist"), (".", "is a directory")] {
        home.prove(&[&guest, "--input", &input, "--receipt", path]).fails(2, &[path, text]);
    }
    assert!(home.jobs().is_empty());
    assert_eq!(home.blob_bytes(), 0);
}

#[test]
fn a_data_directory_that_is_a_file_is_refused_by_every_command() {
    let home = Home::new();
    let file = home.write("file", b"");
    let guest = guest("sha-chain");
    for args in [&["job", "list"][..], &["job", "show", "0"], &["prove", &guest], &["node"]] {
        home.run(&[args, &["--data-dir", &file]].concat()).fails(2, &[&file, "not a directory"]);
    }
}

#[test]
fn verify_tells_what_is_no_receipt_and_what_is_no_image_id() {
    let home = Home::new();
    let id = "ab".repeat(32);
    let text = home.write("text", b"hello hello hello");
    let empty = home.write("empty", b"");
    for (path, expected) in [
        ("gone", "No such file"),
        ("/", "is a directory"),
        (text.as_str(), "is not a receipt"),
        (empty.as_str(), "is empty"),
        (guest("sha-chain").as_str(), "is a program, not a receipt"),
    ] {
        home.run(&["verify", path, "--image-id", &id]).fails(2, &[path, expected]);
    }
    for wrong in ["", "xyz", &id[1..], &format!("{id}00"), "0x"] {
        home.run(&["verify", &text, "--image-id", wrong])
            .fails(2, &["not an image id", "64 hex digits"]);
    }
    home.run(&["verify", &text]).fails(2, &["--image-id"]);
    // In whatever way it is written, it is taken, and the receipt is looked at.
    let words = "[1, 2, 3, 4, 5, 6, 7, 0xffff_ffff]";
    for right in [&format!("0X{}", id.to_uppercase()), words, &guest("sha-chain")] {
        home.run(&["verify", &text, "--image-id", right]).fails(2, &["is not a receipt"]);
    }
}

#[test]
fn a_receipt_that_could_not_be_written_is_refused_before_anything_is_proved() {
    let home = Home::new();
    let link = home.path().join("link");
    std::os::unix::fs::symlink("nothing", &link).unwrap();
    let read_only = home.write("read-only", b"kept");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o444);
    fs::set_permissions(&read_only, mode).unwrap();
    let (log, blob) = (home.data_dir().join("starling.db"), home.data_dir().join("blobs/new"));
    fs::create_dir_all(home.data_dir().join("blobs")).unwrap();
    for (path, expected) in [
        (log.to_str().unwrap(), "in the data directory"),
        (blob.to_str().unwrap(), "in the data directory"),
        (link.to_str().unwrap(), "leads nowhere"),
        (read_only.as_str(), "read-only"),
        ("/", "is a directory"),
        ("no/where", "directory does not exist"),
    ] {
        home.prove(&[&guest("sha-chain"), "--receipt", path]).fails(2, &[path, expected]);
        assert!(home.listed().is_empty(), "there is no job yet");
    }
}

#[test]
fn inspect_shows_the_image_id_that_the_guests_are_listed_with() {
    let home = Home::new();
    let listed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/image-ids.json");
    let listed: Value = serde_json::from_slice(&fs::read(listed).unwrap()).unwrap();
    for name in ["sha-chain", "fail", "ecdsa", "evm-transfer"] {
        let shown = home.run(&["inspect", &guest(name), "--json"]).json();
        assert_eq!(shown["what"], "guest");
        assert_eq!(shown["size_bytes"], fs::metadata(guest(name)).unwrap().len());
        let id = shown["image_id"].as_str().unwrap();
        assert!(listed.to_string().contains(id), "{name} has {id}, not in {listed}");
        let words = shown["image_id_words"].as_array().unwrap().iter();
        let words = words.flat_map(|word| (word.as_u64().unwrap() as u32).to_le_bytes());
        let bytes: Vec<u8> = words.collect();
        assert_eq!(hex::encode(bytes), id);
    }
}

#[test]
fn a_guest_and_a_receipt_may_come_from_a_pipe() {
    let home = Home::new();
    for file in ["-", "/dev/stdin"] {
        let mut command = home.command(&["inspect", file, "--json"]);
        command.stdin(std::process::Stdio::piped());
        let bytes = fs::read(guest("sha-chain")).unwrap();
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, &bytes).unwrap();
        drop(stdin);
        let printed = child.wait_with_output().unwrap().stdout;
        let shown: Value = serde_json::from_slice(&printed).unwrap();
        assert_eq!(shown["size_bytes"], bytes.len());
    }
    let mut command = home.command(&["verify", "-", "--image-id", &"ab".repeat(32)]);
    command.stdin(std::process::Stdio::null());
    home.start_command(command).wait().fails(2, &["is empty"]);
}

#[test]
fn a_frame_from_a_pipe_is_as_long_as_what_comes_out_of_it() {
    let home = Home::new();
    let (echo, bytes) = (guest("echo"), vec![b'x'; 3000]);
    let first = home.write("input", &[1, 0, 0, 0, 1]);
    let piped = |args: &[&str]| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut command = home.command(&[&["execute", &echo, "--json"], args].concat());
        command.stdin(Stdio::from(reader));
        let process = home.start_command(command);
        std::io::Write::write_all(&mut writer, &bytes).unwrap();
        drop(writer);
        process.wait()
    };
    let expected = {
        let frame = home.write("frame", &bytes);
        let args = ["execute", &echo, "--input", &first, "--frame", &frame, "--json"];
        home.run(&args).json()["journal"].clone()
    };
    for frame in ["-", "/dev/stdin"] {
        assert_eq!(piped(&["--input", &first, "--frame", frame]).json()["journal"], expected);
    }
    let twice = ["execute", &echo, "--input", "-", "--frame", "-"];
    home.run(&twice).fails(2, &["can be read only once"]);
}

#[test]
fn what_comes_through_a_pipe_is_handed_over_with_the_order() {
    let home = Home::new();
    let _owner = executed_client(&home);
    let bytes = [7, 0, 0, 0];
    for (flag, from) in [("--input", "-"), ("--input", "/dev/stdin")] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut command = home.command(&["prove", &guest("sha-chain"), flag, from, "--json"]);
        command.args(["--receipt", "out", "--node-wait", "1"]).stdin(Stdio::from(reader));
        let process = home.start_command(command);
        std::io::Write::write_all(&mut writer, &bytes).unwrap();
        drop(writer);
        let error = process.wait().failure(4);
        assert_eq!(error["class"], "no_capacity", "{error}");
    }
    // The owner has executed it: seven links, whichever way they came.
    let jobs = home.jobs();
    assert_eq!(jobs.len(), 2, "{jobs:#?}");
    assert!(jobs.iter().all(|job| job["executed"] == true), "{jobs:#?}");
    let pipe = home.path().join("guest-pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, fs::read(guest("sha-chain")).unwrap())
    });
    home.run(&["prove", pipe.to_str().unwrap(), "--receipt", "out"])
        .fails(2, &["guest-pipe", "not a file", "another --data-dir"]);
    writer.join().unwrap().unwrap();
}

#[test]
fn paths_may_have_any_bytes_here_and_in_what_is_handed_over() {
    let home = Home::new();
    let odd = |name: &[u8]| -> PathBuf { home.path().join(OsStr::from_bytes(name)) };
    let (program, links, data) = (odd(b"guest-\xff.bin"), odd(b"links-\xfe"), odd(b"data-\xfd"));
    fs::copy(guest("sha-chain"), &program).unwrap();
    fs::write(&links, [9, 0, 0, 0]).unwrap();
    let prove = |data: &Path| {
        let mut command = home.command(&["prove", "--json", "--timeout", "2"]);
        command.arg(&program).arg("--input").arg(&links);
        command.arg("--receipt").arg(odd(b"out-\xfc")).arg("--data-dir").arg(data);
        command.args(WAITING);
        home.start_command(command).wait()
    };
    // By itself, in a directory of such a name; and handed over.
    assert_eq!(prove(&data).failure(4)["class"], "out_of_time");
    let mut list = home.command(&["job", "list", "--json", "--data-dir"]);
    list.arg(&data);
    let listed = home.start_command(list).wait().json();
    assert_eq!(listed["jobs"][0]["phase"], "open", "{listed}");
    let _owner = executed_client(&home);
    let ran = prove(&home.data_dir());
    assert_eq!(ran.failure(4)["class"], "out_of_time", "{ran:#?}");
    assert!(ran.stderr.contains("goes to the process that owns this data directory"), "{ran:#?}");
    assert_eq!(home.listed().len(), 2);
}

#[test]
fn an_empty_variable_for_the_data_directory_says_nothing() {
    let home = Home::new();
    let mut command = home.command(&["doctor", "--quick", "--json"]);
    command.env("STARLING_DATA_DIR", "").env("XDG_DATA_HOME", home.path());
    let shown = home.start_command(command).wait().json();
    assert_eq!(shown["data_dir"], home.path().join("starling").to_str().unwrap());
    home.run(&["doctor", "--quick", "--data-dir", ""]).fails(2, &["--data-dir"]);
}

#[test]
fn an_input_beyond_the_limit_is_refused_by_its_size() {
    let home = Home::new();
    let path = home.write("large", b"");
    fs::File::options().write(true).open(&path).unwrap().set_len((1 << 30) + 1).unwrap();
    home.run(&["execute", &guest("echo"), "--input", &path]).fails(2, &["larger than 1024 MiB"]);
    home.prove(&[&guest("echo"), "--input", &path]).fails(2, &["larger than 1024 MiB"]);
}

#[test]
fn inspect_tells_what_it_cannot_read() {
    let home = Home::new();
    let cut = &fs::read(guest("sha-chain")).unwrap()[..5000];
    let (cut, noise) = (home.write("cut.bin", cut), home.write("noise", &[0x9d; 4096]));
    let (text, empty) = (home.write("text", b"hello"), home.write("empty", b""));
    for (path, expected) in [
        ("gone", "No such file"),
        ("/", "is a directory"),
        (cut.as_str(), "cut off"),
        (noise.as_str(), "neither a guest nor a receipt"),
        (text.as_str(), "neither a guest nor a receipt"),
        (empty.as_str(), "is empty"),
    ] {
        home.run(&["inspect", path]).fails(2, &[path, expected]);
    }
}

#[test]
fn a_receipt_that_would_take_the_place_of_what_it_is_made_from_is_refused_and_nothing_is_touched() {
    let home = Home::new();
    let bytes = fs::read(guest("sha-chain")).unwrap();
    let guest = home.write("guest.bin", &bytes);
    let input = home.write("input.bin", &[1, 0, 0, 0]);
    let other_way = format!("{}/./input.bin", home.path().display());
    for receipt in [&guest, &input, &other_way] {
        let args = ["prove", &guest, "--input", &input, "--receipt", receipt];
        home.run(&args).fails(2, &["would overwrite", "--receipt"]);
    }
    assert_eq!(fs::read(&guest).unwrap(), bytes);
    assert!(!home.data_dir().exists(), "it is refused before anything is kept");
}

#[test]
fn a_directory_in_which_others_have_the_names_of_ours_is_refused_and_left_as_it_is() {
    let home = Home::new();
    fs::create_dir(home.path().join("scratch")).unwrap();
    let thesis = home.write("scratch/thesis", b"precious");
    let dir = home.path().to_str().unwrap();
    let (guest, input) = (guest("sha-chain"), input("sha-chain-1"));
    let prove = ["prove", &guest, "--input", &input, "--timeout", "1", "--data-dir", dir];
    home.run(&prove).fails(1, &["is not a data directory", "`scratch`", "--data-dir"]);
    assert_eq!(fs::read(thesis).unwrap(), b"precious");
    assert!(!home.path().join("blobs").exists() && !home.path().join("lock").exists());
}
