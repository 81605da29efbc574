//! Files that are missing, unreadable, or something else than they should be.

use std::{fs, path::Path};

use serde_json::Value;

use crate::harness::{Home, guest, input};

/// What may be handed in instead of a guest, and the words that its error must have.
fn wrong_guests(home: &Home) -> Vec<(String, Vec<&'static str>)> {
    let good = fs::read(guest("sha-chain")).unwrap();
    let mut other_kernel = good.clone();
    *other_kernel.last_mut().unwrap() ^= 1;
    let mut riscv_elf = vec![0; 64];
    riscv_elf[..5].copy_from_slice(b"\x7fELF\x01");
    riscv_elf[18] = 0xf3;
    vec![
        ("missing.bin".into(), vec!["missing.bin", "No such file"]),
        (home.path().to_str().unwrap().into(), vec!["is a directory"]),
        (home.write("empty.bin", b""), vec!["empty.bin", "is empty"]),
        (home.write("cut.bin", &good[..5000]), vec!["cut.bin", "cut off", "118208 bytes", "4968"]),
        (home.write("cut-kernel.bin", &good[..good.len() - 1]), vec!["cut off", "kernel"]),
        (home.write("kernel.bin", &other_kernel), vec!["kernel.bin", "another kernel", "rebuild"]),
        (home.write("riscv.elf", &riscv_elf), vec!["without its kernel", "cargo risczero build"]),
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
